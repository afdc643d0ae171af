"""Floor 4: settings. Defaults < file < environment < flags, every value with its origin, every error with its line.

settings   what can be set, composed of each part's own frozen Options
load       what is in force, with what it chose from the shelves
document   what a hub's config document may change
shelf      finds what a config names on the shelves, and validates its options
"""
