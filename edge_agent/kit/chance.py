"""Real randomness, for epochs and jitter. Simulations give a seeded `random.Random` in its place."""

import random

from edge_agent.model.ports import Chance


def system_chance() -> Chance:
    """Randomness of the operating system: good for secrets too, the same for no two processes."""
    return random.SystemRandom()
