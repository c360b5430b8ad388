"""A mobile backend server that speaks the Parse protocol."""
