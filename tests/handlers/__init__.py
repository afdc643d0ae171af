"""Tests of edge_agent/handlers."""
