"""Tests of the disk queue."""
