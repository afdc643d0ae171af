"""Commands for people, called in this process on real files."""
