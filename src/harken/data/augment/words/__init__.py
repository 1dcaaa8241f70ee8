"""What is done to the words of a prompt that leaves what they mean, one way a file."""
