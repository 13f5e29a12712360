"""A GPU, by way of WGSL: the device, and the forms that matrix products have on it."""
