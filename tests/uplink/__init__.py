"""Numbers outward, in virtual time."""
