"""What surrounds a training run: its settings, its texts, what it costs, and its files."""
