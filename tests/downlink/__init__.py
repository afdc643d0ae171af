"""Tests of edge_agent/downlink."""
