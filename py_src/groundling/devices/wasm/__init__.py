"""The wasm device: our own kernels for the CPU, the same bytes on every machine."""
