"""What is read off a model, one kind a file: the file's name is the part's name in a recipe."""
