"""One change of the schema a file, in order."""
