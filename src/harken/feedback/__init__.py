"""What people said: a database, no torch."""
