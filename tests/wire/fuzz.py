"""Hostile input for decoders: arbitrary bytes, and valid documents with wounds."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import orjson
from hypothesis import settings
from hypothesis import strategies as st

from edge_agent.model.failure import Malformed

T = TypeVar("T")

steady = settings(derandomize=True, deadline=None, database=None, max_examples=100)
"""The same examples each time, and nothing written to disk."""

junk: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["gauge", "counter", 0, -1, 1, 2**53, 2**53 + 1, "x" * 2000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def wounded(draw: st.DrawFn, document: Any) -> bytes:
    """A JSON document with one to three of its parts replaced, doubled, or taken out."""
    whole = {"": copy.deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        parts = list(_parts(whole))
        holder, key = parts[draw(st.integers(0, len(parts) - 1))]
        wound = draw(st.sampled_from(["replace", "remove", "double"]))
        if wound == "remove" and holder is not whole:
            del holder[key]
        elif wound == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = draw(junk)
    return orjson.dumps(whole[""])


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of which some are changed, and which may end early or late."""
    hurt = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        hurt[draw(st.integers(0, len(hurt) - 1))] = draw(st.integers(0, 255))
    return bytes(hurt[: draw(st.integers(0, len(hurt)))]) + draw(st.binary(max_size=8))


def refusal(decode: Callable[[T], object], given: T) -> Malformed | None:
    """How a decoder refuses what it is given; None when it takes it. Any other exception gets through."""
    try:
        decode(given)
    except Malformed as error:
        return error
    return None


def _parts(holder: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _parts(holder[key])
