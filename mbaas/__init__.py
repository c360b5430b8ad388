"""A mobile backend in one small server that speaks the Parse protocol."""

__version__ = "0.1.0"
