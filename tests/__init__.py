"""Tests mirror the package; `sim` holds the simulated ports."""
