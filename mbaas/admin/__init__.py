"""The console: pages for the people who work at an app, on the same use-cases as the API."""
