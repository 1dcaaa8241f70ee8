"""What is done to media before they are learnt from, one modality a file."""
