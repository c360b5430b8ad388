"""Business moments: something happens to somebody, and the plays that are bound to it send her a push while it is worth something."""
