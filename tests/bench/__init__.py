"""What the bench reads: a tree that moves."""
