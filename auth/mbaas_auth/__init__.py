"""Accounts, sessions, passwords and roles: the room that knows people."""
