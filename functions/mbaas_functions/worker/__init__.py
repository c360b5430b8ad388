"""The process that runs a developer's code: it holds no key and no database, and asks the server for everything."""
