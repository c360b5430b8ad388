"""Identity providers: who outside vouches for people, one module each, and what they have in common."""
