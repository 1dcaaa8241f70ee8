"""Tensors in, tensors out; knows no algorithm and no person."""
