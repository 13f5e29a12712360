"""The torch device: PyTorch on CUDA, Apple's MPS or the CPU, in one process or many."""
