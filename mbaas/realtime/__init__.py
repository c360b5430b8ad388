"""Live queries: the feed matched against what clients watch, and each event sent to those who may see it."""
