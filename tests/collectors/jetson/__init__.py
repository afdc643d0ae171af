"""What Jetson boards have, each collector by itself."""
