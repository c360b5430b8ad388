"""The one HTTP client: calls to webhooks, partners and identity providers, and where they may go."""
