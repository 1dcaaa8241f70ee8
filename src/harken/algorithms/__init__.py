"""One paper a file: pure mathematics over tensors."""
