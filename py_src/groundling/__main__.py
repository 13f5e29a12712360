"""python -m groundling: the same as the command `groundling`."""

import sys

from .cli.main import main

sys.exit(main())
