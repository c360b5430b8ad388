"""HTTP/2 as much as those who send many messages, and the mock that takes them, need of it."""
