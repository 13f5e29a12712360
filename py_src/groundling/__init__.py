"""Groundling: a GPT built from the ground up, in Python and WGSL, in the browser and natively."""

__version__ = "0.1.0"
