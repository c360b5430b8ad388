"""The routes of the Parse dialect, a module per family: each decodes, calls one use-case, and names its routes in ROUTES."""
