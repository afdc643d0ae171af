"""Each collector against a small tree that the test writes."""
