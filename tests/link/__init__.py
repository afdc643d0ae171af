"""The way to the hub, against real sockets on loopback."""
