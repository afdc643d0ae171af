"""The hub: its store, its handlers and its rim."""
