"""Floor 4: settings. Defaults < file < environment < flags, every value with its origin, every error with its line.

settings   what can be set, composed of each part's own frozen Options
load       reads the sources, validates, and explains what is wrong
lines      which line of a TOML file a key stands on
shelf      finds what a config names on the shelves, and validates its options
"""
