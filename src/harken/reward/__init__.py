"""A completion to a number."""
