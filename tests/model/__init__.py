"""Tests of the nouns and ports."""
