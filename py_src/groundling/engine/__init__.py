"""What a computation is: tensors, the operations on them, and captured plans."""
