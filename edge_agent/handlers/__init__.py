"""Floor 2, a shelf: one file an instruction."""
