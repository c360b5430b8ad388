"""How a push leaves the server: one port, and a module for each provider."""
