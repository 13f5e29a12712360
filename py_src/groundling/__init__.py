"""Groundling: a GPT built from the ground up, in Python and WGSL, in the browser and natively."""

import os

__version__ = "0.1.0"

# One thread for each of NumPy's matrix products, unless the reader has said otherwise: NumPy looks
# as it is imported. Ours are small, and on two idle cores a second thread saved 6 % of a step; on
# busy ones it made steps 5 to 35 times slower. devices/threads.py has what is done instead. And
# equal seeds give equal bytes however many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
