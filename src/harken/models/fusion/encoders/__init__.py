"""One encoder a file: media tensors to features of the language model's width."""
