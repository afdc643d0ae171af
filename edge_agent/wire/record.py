"""Records: the payload of the reports, events and logs lanes, as one JSON document, gzipped.

    {"v": 1, "axis": str, "anchor": [lo, hi, at] | null, "resource": {str: str},
     "records": [{"at": <axis ms>, "type": str, ...}, ...]}

Head, version and gzip are those of `wire.batch`; a body is unpacked with its `unzip`. A record is a free JSON object
but for its time and its type. What does not hold raises `Malformed` with `bad_json`, `unsupported_version`, or
`bad_batch` with the path of the part. What a type asks of its records is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.model.anchor import Anchor
from edge_agent.wire.batch import MOST_DEPTH, Head, is_shallow, packed, read_document, read_head
from edge_agent.wire.track import MOST_NAME, is_name, is_time, refuse

MOST_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Records(Head):
    """What a payload says, record by record."""

    records: tuple[Mapping[str, Any], ...]


def pack(
    axis: str, anchor: Anchor | None, resource: Mapping[str, str], records: Sequence[Mapping[str, object]]
) -> bytes:
    """Records as a payload, the same bytes for the same records."""
    return packed(Head(axis, anchor, resource), {"records": list(map(dict, records))})


def parse(body: bytes) -> Records:
    """The records that a body holds."""
    document = read_document(body)
    head, records = read_head(document), document.get("records")
    if type(records) is not list or len(records) > MOST_RECORDS:
        refuse("records", f"must be a list of up to {MOST_RECORDS} records")
    for index, record in enumerate(records):
        if type(record) is not dict or not is_shallow(record):
            refuse(f"records[{index}]", f"must be an object, nested at most {MOST_DEPTH} deep")
        if not is_time(record.get("at")):
            refuse(f"records[{index}].at", "must be axis milliseconds")
        if not is_name(record.get("type")):
            refuse(f"records[{index}].type", f"must be a name of up to {MOST_NAME} characters")
    return Records(head.axis, head.anchor, head.resource, tuple(records))
