"""What programs may hand over, and what is refused whole."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from edge_agent.local.intake import Caps, Event, Intake
from edge_agent.model.reading import Reading, Tick
from edge_agent.wire.problem import Problem
from tests.sim.clock import SimClock
from tests.sim.loop import run


def reading(**fields: Any) -> dict[str, Any]:
    return {"name": "stage.position", "value": 1.5, **fields}


def posted(*readings: Any) -> bytes:
    return orjson.dumps({"readings": list(readings)})


def at_once(act: Callable[[Intake], Any], caps: Caps | None = None) -> Any:
    async def main() -> Any:
        return act(Intake(caps or Caps(), SimClock()))

    return run(main())


def test_a_reading_becomes_a_reading_of_the_collector_local() -> None:
    full = reading(unit="mm", attributes={"axis.name": "x µ"}, kind="counter")
    tick = at_once(lambda intake: intake.tick(posted(full, reading())))
    assert tick == Tick(
        "local",
        1_000_000,
        (
            Reading("stage.position", 1.5, "mm", {"axis.name": "x µ"}, "counter", None, "local"),
            Reading("stage.position", 1.5, "1", {}, "gauge", None, "local"),
        ),
    )


def test_no_two_ticks_have_one_instant() -> None:
    ticks = at_once(lambda intake: [intake.tick(posted(reading())) for _ in range(3)])
    assert [tick.at for tick in ticks] == [1_000_000, 1_000_001, 1_000_002]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "bad_json", None),
        (b"null", "bad_field", None),
        (b'{"readings":{}}', "bad_field", "readings"),
        (posted(), "bad_field", "readings"),
        (posted(5), "bad_field", "readings[0]"),
        (posted(reading(), reading(name="")), "bad_field", "readings[1].name"),
        (posted(reading(name="9lives")), "bad_field", "readings[0].name"),
        (posted(reading(name="a\nb")), "bad_field", "readings[0].name"),
        (posted(reading(name="x" * 129)), "bad_field", "readings[0].name"),
        (posted(reading(value="1")), "bad_field", "readings[0].value"),
        (posted(reading(value=True)), "bad_field", "readings[0].value"),
        (posted(reading(value=None)), "bad_field", "readings[0].value"),
        (b'{"readings":[{"name":"a","value":1e999}]}', "bad_json", None),
        (b'{"readings":[{"name":"a","value":NaN}]}', "bad_json", None),
        (posted(reading(unit="two words")), "bad_field", "readings[0].unit"),
        (posted(reading(kind="histogram")), "bad_field", "readings[0].kind"),
        (posted(reading(attributes={"a": 1})), "bad_field", "readings[0].attributes.a"),
        (posted(reading(attributes={"a": "x\n"})), "bad_field", "readings[0].attributes.a"),
        (posted(reading(attributes={f"a{n}": "" for n in range(9)})), "bad_field", "readings[0].attributes"),
        (posted(reading(colour="red")), "bad_field", "readings[0].colour"),
        (posted(reading(), reading(value=2)), "bad_field", "readings"),
    ],
)
def test_a_bad_reading_refuses_the_request_and_names_the_field(body: bytes, code: str, field: str | None) -> None:
    problem = at_once(lambda intake: intake.tick(body))
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code, problem.field) == (400, code, field)


def test_series_beyond_the_cap_are_refused_whole_and_known_ones_go_on() -> None:
    def act(intake: Intake) -> list[Any]:
        bodies = [posted(reading(name=f"n{n}")) for n in range(3)]
        return [intake.tick(body) for body in (*bodies, bodies[0], posted(reading(name="n1"), reading(name="new")))]

    one, two, three, again, mixed = at_once(act, Caps(series=2))
    assert isinstance(one, Tick) and isinstance(two, Tick) and isinstance(again, Tick)  # noqa: PT018 - one fact
    assert (three.status, three.code) == (429, "too_many_series")
    assert mixed.code == "too_many_series"


def test_faster_than_the_rate_is_refused_until_time_has_passed() -> None:
    async def main() -> None:
        clock = SimClock()
        intake = Intake(Caps(events=2, readings=3), clock)
        event = orjson.dumps({"type": "run.note", "data": {}})
        assert [isinstance(intake.event(event), Event) for _ in range(12)] == [True] * 10 + [False] * 2
        await clock.sleep(1)
        assert [isinstance(intake.event(event), Event) for _ in range(3)] == [True, True, False]
        many = posted(*(reading(name=f"n{n}") for n in range(15)))
        assert isinstance(intake.tick(many), Tick)
        refused = intake.tick(many)
        assert isinstance(refused, Problem)
        assert (refused.status, refused.code) == (429, "rate_limited")

    run(main())


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"type": "agent.status", "data": {}}, "type"),
        ({"type": "instruction.lifecycle", "data": {}}, "type"),
        ({"type": "config", "data": {}}, "type"),
        ({"type": "heartbeat", "data": {}}, "type"),
        ({"type": "outcome", "data": {}}, "type"),
        ({"type": "Run", "data": {}}, "type"),
        ({"type": "run\n", "data": {}}, "type"),
        ({"type": "a" * 65, "data": {}}, "type"),
        ({"type": "run", "data": []}, "data"),
        ({"type": "run"}, "data"),
        ({"type": "run", "data": {}, "more": 1}, "more"),
        ([], None),
    ],
)
def test_a_bad_event_is_refused_and_names_the_field(event: Any, field: str | None) -> None:
    problem = at_once(lambda intake: intake.event(orjson.dumps(event)))
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code, problem.field) == (400, "bad_field", field)


def test_what_is_json_in_part_only_is_refused_and_huge_numbers_stay_numbers() -> None:
    def event(value: bytes) -> bytes:
        return b'{"type":"run","data":{"x":' + value + b"}}"

    bodies = map(event, (b"NaN", b"1e400", rb'"\ud800"', b"[" * 230 + b"]" * 230, b"[" * 900 + b"]" * 900))
    for problem in at_once(lambda intake: [intake.event(body) for body in bodies]):
        assert isinstance(problem, Problem)
        assert problem.code == "bad_json"
    assert at_once(lambda intake: intake.event(event(b"9" * 40))) == Event("run", {"x": 1e40})


@pytest.mark.parametrize("name", ["run", "acquisition.progress", "agents.meeting", "heartbeat.lost", "configured"])
def test_programs_may_say_any_type_that_is_not_the_agents_own(name: str) -> None:
    assert at_once(lambda intake: intake.event(orjson.dumps({"type": name, "data": {"a": [1]}}))) == Event(
        name, {"a": [1]}
    )
