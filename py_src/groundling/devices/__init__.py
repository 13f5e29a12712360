"""The devices that a computation runs on. open.py opens one; base.py is their base class."""
