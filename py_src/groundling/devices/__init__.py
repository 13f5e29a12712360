"""Where a computation runs: open.py gives one of them, base.py has what all share."""
