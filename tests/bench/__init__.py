"""The bench: `python -m tests.bench` measures what the agent costs and what the hub takes, from outside.

Real processes on this machine, loopback and free ports, the agents' state on a disk and their open batches on tmpfs,
input that moves. Each figure stands beside its goal; for one that misses it a footnote says where the time goes.
"""
