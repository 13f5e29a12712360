"""The reader's changes to this library: put in force, kept, shared, explained when they fail."""
