"""The stated time: nothing is stated that no hub could read."""

import pytest

from edge_agent.model.anchor import Anchor
from edge_agent.model.http import Answer
from edge_agent.uplink.stamp import Stamp
from edge_agent.wire.headers import format_sent_at, parse_sent_at


class Told:
    """`model.ports.TrueTime` that says what it was given."""

    def __init__(self, now: int | None) -> None:
        self._now = now

    def observe(self, answer: Answer) -> None:
        pass

    def anchor(self) -> Anchor | None:
        return None

    def now(self) -> int | None:
        return self._now

    def turn(self) -> int:
        return 0


@pytest.mark.parametrize("own", [None, -(2**53) - 1, -5, 10**12, 2**53 + 10, 2**60])
@pytest.mark.parametrize("named", [None, -1, 0, 10**12, 2**53 - 1, 2**53, 2**60])
def test_whatever_a_hub_names_what_is_stated_can_be_read_and_refusals_come_to_an_end(
    own: int | None, named: int | None
) -> None:
    stamp, stated = Stamp(Told(own)), list[int | None]()
    for now in (1000, 1050, 1100, 1150):
        stated.append(stamp.at(now))
        if not stamp.refused(now + 10, named):
            break
    assert len(stated) <= 3
    assert stated[-1] is None
    assert [parse_sent_at(format_sent_at(at)) for at in stated if at is not None] == [*filter(None, stated)]
