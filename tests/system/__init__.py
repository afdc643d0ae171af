"""The system: real processes on loopback, as a person starts them."""
