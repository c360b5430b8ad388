"""Text messages: what sends them."""
