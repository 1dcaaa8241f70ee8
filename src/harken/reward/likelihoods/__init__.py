"""How likely a statement is, given scores: one kind of feedback a file."""
