"""Dialects, byte for byte."""
