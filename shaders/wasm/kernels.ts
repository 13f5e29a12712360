// All kernels: what `kernels.wasm` exports. Each is called with the address of a workspace, those of
// its buffers in the order of its reference in devices/kernels.py, and its parameters in theirs.

export * from "./attention";
export * from "./embedding";
export * from "./loss";
export * from "./norms";
export * from "./optimizer";
export * from "./pointwise";
export * from "./products";
export * from "./sampling";
