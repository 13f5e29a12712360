"""Tensors, the tape, the operations, and captured plans."""
