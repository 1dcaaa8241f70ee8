"""What pages say: one catalogue a language, the same keys in each."""
