"""The people who work at an app with the console: marketers, developers, owners. They are no users of the app."""
