"""Floor 1: the real clock, disk and threads behind the ports, and small things that two rooms need."""
