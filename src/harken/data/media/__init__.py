"""Bytes to arrays and back, one modality a file."""
