"""Floor 3: the disk queue. Segments, recovery, quota, losses."""
