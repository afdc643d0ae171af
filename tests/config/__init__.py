"""Settings: sources, origins, errors with their line, and what a hub's document may change."""
