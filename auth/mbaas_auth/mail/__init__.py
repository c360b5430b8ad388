"""Mails: what they say, what they are sent through, and the outbox that they wait in."""
