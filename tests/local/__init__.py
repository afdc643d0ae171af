"""Tests of edge_agent/local."""
