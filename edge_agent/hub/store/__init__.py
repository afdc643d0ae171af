"""The hub's store: SQLite inside the process, one writer with group commit, and readers that never block it.

failure    the two ways in which a store fails its caller, and how that is answered
engine     connections: what is set on each, schemas and their version, foreign errors mapped once
commit     the group: writes taken together into one transaction, functions one by one, a clerk's items at once
store      the living whole: `open`, `write`, `read`, `close`
dedupe     which numbers of an epoch are stored, thinned or lost: ranges that are unions for ever
frames     the tables of telemetry, and the statements that fill them
deposit    what one request brings, and the depositor, who enters all deposits of a group at once
"""

from edge_agent.hub.store.failure import StoreBroken, StoreFull, refusal
from edge_agent.hub.store.store import Store

__all__ = ["Store", "StoreBroken", "StoreFull", "refusal"]
