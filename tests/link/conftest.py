"""A device that knows nothing yet, and its truth."""

import pytest

from edge_agent.link.timekeeper import Timekeeper
from tests.link.truth import Truth


@pytest.fixture(name="truth")
def _truth() -> Truth:
    return Truth(start=5_000)


@pytest.fixture(name="keeper")
def _keeper(truth: Truth) -> Timekeeper:
    return Timekeeper(truth)
