"""Floor 6: the command line, one file a command. The only room that prints."""
