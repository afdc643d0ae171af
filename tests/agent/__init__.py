"""Tests of the agent as a whole: what only its wiring can get right."""
