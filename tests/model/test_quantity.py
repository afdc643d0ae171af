"""Durations and sizes: what is written, what is meant, and what is refused with words."""

import math
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edge_agent.model.quantity import Bytes, Interval, Parsed, Seconds, parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(0, 0), (1.5, 1.5), ("250ms", 0.25), ("10s", 10), (" 1.5 h ", 5400), ("5m", 300), ("5min", 300), ("7d", 604_800)],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_seconds(written) == TypeAdapter(Seconds).validate_python(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"), [(0, 0), ("512", 512), ("64KiB", 65_536), ("1.5 MiB", 1_572_864), ("1GB", 10**9)]
)
def test_sizes(written: object, size: int) -> None:
    assert parse_bytes(written) == TypeAdapter(Bytes).validate_python(written) == size


@pytest.mark.parametrize("written", ["", "10", "s", "ten s", "1e3s", "-1s", "nan", "infs", True, None, []])
def test_what_is_no_duration_is_told_how_one_is_written(written: object) -> None:
    with pytest.raises(ValueError, match="a duration is written as"):
        parse_seconds(written)


@pytest.mark.parametrize("written", ["", "KiB", "1kb", "1e3", "-1B", 1.5, True, None])
def test_what_is_no_size_is_told_how_one_is_written(written: object) -> None:
    with pytest.raises(ValueError, match="a size is written as"):
        parse_bytes(written)


@pytest.mark.parametrize("written", [math.nan, math.inf, -math.inf, 10**400, "9" * 400 + "s"])
def test_a_duration_is_a_finite_number(written: object) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        parse_seconds(written)
    assert refusal(Seconds, written) == "Value error, must be a finite number"


def test_a_size_is_a_finite_number() -> None:
    assert refusal(Bytes, "9" * 400 + "GiB") == "Value error, must be a finite number"


@pytest.mark.parametrize(
    ("annotation", "written", "words"),
    [
        (Seconds, -0.1, "at least 0"),
        (Seconds, 1e300, "at most 315360000"),
        (Seconds, "3651d", "at most 315360000"),
        (Interval, 0, "at least 0.1"),
        (Interval, "99ms", "at least 0.1"),
        (Interval, "3651d", "at most 315360000"),
        (Bytes, -1, "at least 0"),
        (Bytes, 2**60 + 1, "at most 1152921504606846976"),
        (Bytes, 10**400, "at most 1152921504606846976"),
        (Annotated[int, Parsed(parse_bytes, 4096, 8192)], "4095", "at least 4096"),
    ],
)
def test_numbers_beyond_their_bounds_are_refused(annotation: Any, written: object, words: str) -> None:
    assert refusal(annotation, written) == f"Value error, must be {words}"


def test_the_bounds_themselves_are_taken() -> None:
    assert TypeAdapter(Seconds).validate_python("3650d") == 315_360_000
    assert TypeAdapter(Interval).validate_python("100ms") == 0.1
    assert TypeAdapter(Bytes).validate_python(2**60) == 2**60


def refusal(annotation: Any, written: object) -> str:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(annotation).validate_python(written)
    return raised.value.errors()[0]["msg"]
