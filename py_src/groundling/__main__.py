"""python -m groundling: the same as the command `groundling`."""

import sys

from .cli import main

sys.exit(main())
