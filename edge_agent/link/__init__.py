"""Floor 2: the way to the hub. Origin, key file, session, true time from its answers."""
