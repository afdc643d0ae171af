"""Bytes <-> values: round trips, tables of wounds, arbitrary bytes."""
