"""How the hub is reached, checked as a whole: origin, key, and who may instruct.

The key comes from the file that `hub.key_file` names, under systemd from the credential `hub_key`, or from the variable
`EDGE_AGENT_HUB_KEY`, never from a flag or from the config itself.

Only what speaks to a hub needs these (`run`, `up`, `check`); `sample` does not. What is wrong is told with its key and
place, like every other setting.
"""

import os
from dataclasses import dataclass

from edge_agent.config.load import KEY_VARIABLE, Loaded
from edge_agent.config.shelf import handler_names
from edge_agent.kit.sources import CREDENTIAL, nearest
from edge_agent.link.keyfile import GivenKey, Key, KeyFile
from edge_agent.link.origin import Origin
from edge_agent.model.failure import ConfigError


@dataclass(frozen=True, slots=True)
class Reach:
    """The hub's origin, and where the key comes from."""

    origin: Origin
    key: Key


def reach_of(loaded: Loaded) -> Reach:
    """The way to the hub that a config names; ConfigError tells all that is missing or wrong."""
    hub, sources = loaded.settings.hub, loaded.sources
    wrong = []
    origin = None
    if not loaded.settings.device.id:
        wrong.append("device.id: no id is named, and the name of this machine cannot be one; set id under [device]")
    if not hub.url:
        wrong.append('hub.url: no hub is named; set url = "https://..." under [hub]')
    else:
        try:
            origin = Origin.parse(hub.url, allow_plain_http=hub.allow_plain_http)
        except ConfigError as error:
            wrong.append(f"{sources.place(('hub', 'url'))}: hub.url: {error}; {error.hint}")
    key = _key(loaded)
    if key is None:
        wrong.append(f"hub.key_file: no key file is named; set key_file under [hub] (mode 0600) or {KEY_VARIABLE}")
    known = {"config", *handler_names()}
    for name, trusted in loaded.settings.trust.items():
        for strange in sorted(trusted.types - known):
            where = sources.place(("trust", name, "types"))
            wrong.append(f"{where}: trust.{name}.types: there is no {strange!r} to ask for; {nearest(strange, known)}")
    if wrong or origin is None or key is None:
        raise ConfigError("\n".join(wrong))
    return Reach(origin, key)


def _key(loaded: Loaded) -> Key | None:
    if given := os.environ.get(KEY_VARIABLE):
        return GivenKey(given)
    file = loaded.settings.hub.key_file
    # A credential is guarded by systemd, not by its mode.
    credential = loaded.sources.origin(("hub", "key_file")) == CREDENTIAL
    return KeyFile(file, credential=credential) if file else None
