"""Floor 2, a shelf: one file a source of readings."""
