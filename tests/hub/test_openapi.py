"""The document that the hub gives of itself, and requests drawn from it: none may be a bug."""

import re
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.hub.exchange import Reply
from tests.hub.deliveries import batch, frame, ticks
from tests.hub.house import House, opened, push, said
from tests.sim.loop import run


async def fetched(house: House) -> Any:
    return said(await house.ask("GET", "/openapi.json"))


def the_document() -> Any:
    async def scene() -> Any:
        async with opened() as house:
            return await fetched(house)

    return run(scene())


DOCUMENT = the_document()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for found in set(re.findall(rb'"\$ref":"#/components/schemas/([^"]+)"', orjson.dumps(DOCUMENT))):
        assert found.decode() in schemas
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    identities = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(
    ("path", "model"), [("/api/v1/devices", "DeviceList"), ("/api/v1/devices/car-1/instructions", "InstructionList")]
)
def test_a_reply_is_what_the_document_says(path: str, model: str) -> None:
    async def scene() -> Reply:
        async with opened() as house:
            body = {"type": "echo", "args": {"a": [1, None]}}
            assert (
                await house.ask("POST", "/api/v1/devices/car-1/instructions", body, token=house.admin)
            ).status == 201
            lamps = [["a", "ok", 1, ""]]
            beat = {"axis": "a", "now": 1, "lamps": lamps}
            assert (await house.ask("POST", "/api/v1/devices/car-1/live", beat, key=house.key)).status == 204
            return await house.ask("GET", path, token=house.admin)

    schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
    jsonschema_rs.validator_for(schema).validate(said(run(scene())))


def test_the_audit_and_the_history_are_what_the_document_says() -> None:
    async def scene() -> list[Reply]:
        async with opened() as house:
            assert (await push(house, frame(5, 3, batch(ticks(0, 10))))).status == 200
            history = "/api/v1/query?device=car-1&name=gpu.power&from=0&to=9000000000000000&width=4"
            return [await house.ask("GET", path, token=house.admin) for path in ("/api/v1/audit?device=car-1", history)]

    for reply, model in zip(run(scene()), ("Audit", "Curves"), strict=True):
        schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
        found = said(reply)
        jsonschema_rs.validator_for(schema).validate(found)
        assert found["epochs" if model == "Audit" else "series"]


WORD = st.text(max_size=12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = sorted(
    {name for schema in DOCUMENT["components"]["schemas"].values() for name in schema.get("properties", {})}
)
BODIES = st.one_of(
    st.binary(max_size=64),
    JSON_VALUES.map(
        lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str) if _fits(value) else b"{"
    ),
    st.dictionaries(st.sampled_from(MEMBERS), JSON_VALUES, max_size=5).map(
        lambda value: orjson.dumps(value) if _fits(value) else b"[1e999]"
    ),
)


def _fits(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@st.composite
def requests(draw: Any) -> tuple[str, str, bytes, dict[str, str]]:
    """A request to some path of the document, mostly well-formed."""
    method, path, operation = draw(st.sampled_from(OPERATIONS))
    identity = draw(st.sampled_from(["car-1", "car-1", "x%00", "%ff", "..", "a" * 300]))
    names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    query = [
        f"{name}={draw(st.sampled_from(['', '1', 'car-1', '-1', '1e999', 'x,y', '%00', '9' * 30]))}" for name in names
    ]
    headers = {
        "content-type": draw(st.sampled_from(["application/json", "application/vnd.edge.frames", "text/plain", ""])),
        "content-encoding": draw(st.sampled_from(["", "", "gzip"])),
        "last-event-id": draw(st.sampled_from(["", "0-0", "x-²"])),
        "edge-sent-at": draw(st.sampled_from(["1800000000000", "x", "-1"])),
        "edge-clock": draw(st.sampled_from(["", "a=1", "a=x"])),
        "edge-spool": draw(st.sampled_from(["", "-", "telemetry:0000000000000001:3:0-2", "x:y:z"])),
    }
    path = re.sub(r"\{\w+\}", identity, path)
    return method, f"{path}?{'&'.join(query)}" if query else path, draw(BODIES), headers


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests(), min_size=5, max_size=25))
def test_no_request_is_a_bug(asked: list[tuple[str, str, bytes, dict[str, str]]]) -> None:
    async def scene() -> None:
        async with opened() as house:
            for method, path, body, headers in asked:
                for who in ({"key": house.key}, {"token": house.admin}, {}):
                    reply = await house.ask(method, path, body, headers=headers, **who)
                    assert reply.status != 500, (method, path, body, headers)
                    assert "edge-hub-time" in reply.headers
                house.key = await house.hub.accounts.add_device("car-1")

    run(scene())
