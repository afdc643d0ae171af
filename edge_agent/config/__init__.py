"""Floor 4: settings. Defaults < file < environment < flags, every value with its origin, every error with its line.

Reading settings touches nothing; whoever uses a folder makes it.

    settings   what can be set, composed of each part's own frozen Options
    load       what is in force, with what it chose from the shelves
    reach      how the hub is reached, for what speaks to one
    document   what a hub's config document may change
    shelf      finds what a config names on the shelves, and validates its options
"""
