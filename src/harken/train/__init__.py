"""The only room where weights change."""
