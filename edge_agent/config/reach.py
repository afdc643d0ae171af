"""How the hub is reached, checked as a whole: origin, key file, and who may instruct.

Only what speaks to a hub needs these (`run`, `up`, `check`); `sample` does not. What is wrong is told with its key and
place, like every other setting.
"""

from dataclasses import dataclass
from pathlib import Path

from edge_agent.config.load import Loaded
from edge_agent.config.shelf import handler_names
from edge_agent.kit.sources import nearest
from edge_agent.link.origin import Origin
from edge_agent.model.failure import ConfigError


@dataclass(frozen=True, slots=True)
class Reach:
    """The hub's origin, and the file with the key; a `credential` is guarded by systemd, not by its mode."""

    origin: Origin
    key_file: Path
    credential: bool


def reach_of(loaded: Loaded) -> Reach:
    """The way to the hub that a config names; ConfigError tells all that is missing or wrong."""
    hub, sources = loaded.settings.hub, loaded.sources
    wrong = []
    origin = None
    if not hub.url:
        wrong.append('hub.url: no hub is named; set url = "https://..." under [hub]')
    else:
        try:
            origin = Origin.parse(hub.url, allow_plain_http=hub.allow_plain_http)
        except ConfigError as error:
            wrong.append(f"{sources.place(('hub', 'url'))}: hub.url: {error}; {error.hint}")
    if hub.key_file is None:
        wrong.append("hub.key_file: no key file is named; set key_file under [hub], a file of mode 0600")
    known = {"config", *handler_names()}
    for name, key in loaded.settings.trust.items():
        for strange in sorted(key.types - known):
            where = sources.place(("trust", name, "types"))
            wrong.append(f"{where}: trust.{name}.types: there is no {strange!r} to ask for; {nearest(strange, known)}")
    if wrong or origin is None or hub.key_file is None:
        raise ConfigError("\n".join(wrong))
    return Reach(origin, hub.key_file, sources.origin(("hub", "key_file")) == "system")
