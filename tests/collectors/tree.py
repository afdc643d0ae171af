"""A machine as a folder: files by their path below the root."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.model.offers import CollectorOffer
from edge_agent.model.ports import Host
from edge_agent.model.reading import Reading

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"


def plant(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write these files, and the folders they need."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def build(offer: CollectorOffer[Any], root: Path, **options: Any) -> Any:
    """A collector on a recorded tree."""
    return offer.build(offer.options(**options), Host(root, live=False))


def table(readings: Iterable[Reading]) -> dict[str, float | str | None]:
    """Value, or reason, by name and attribute values: `system.cpu.time idle 0`."""
    shown: dict[str, float | str | None] = {}
    for reading in readings:
        name = " ".join([reading.name, *(value for _key, value in sorted(reading.attributes.items()))])
        assert name not in shown, f"{name} came twice"
        assert (reading.value is None) == (reading.reason is not None)
        shown[name] = reading.reason if reading.value is None else reading.value
    return shown
