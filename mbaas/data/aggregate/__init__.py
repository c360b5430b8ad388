"""Aggregation: MongoDB's pipeline language over stored objects, for stores that do not have it themselves."""
