"""Tests of the real clock, disk and threads, and of the small things beside them."""
