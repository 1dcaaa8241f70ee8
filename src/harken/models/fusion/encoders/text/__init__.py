"""Words to tokens, one way a file: the file's name is the part's name in a recipe."""
