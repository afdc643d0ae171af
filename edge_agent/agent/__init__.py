"""Floor 5: wiring. The only room that introduces parts to each other."""
