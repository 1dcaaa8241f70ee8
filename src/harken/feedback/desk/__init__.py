"""Whose turn it is: projects, their items, and who holds which."""
