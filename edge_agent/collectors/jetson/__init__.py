"""What NVIDIA Jetson boards have: each module with an offer is a collector of its own."""
