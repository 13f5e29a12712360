"""The WebGPU device, and the forms of the matrix products on it."""
