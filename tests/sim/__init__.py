"""Simulated ports: a loop in virtual time, a clock, a disk in memory, workers without threads."""
