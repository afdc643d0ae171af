"""Floor 2, a shelf: one file a backend, pure functions."""
