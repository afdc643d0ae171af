"""Floor 1: bytes <-> values, no I/O, shared with the hub."""
