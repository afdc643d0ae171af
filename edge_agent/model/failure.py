"""The three errors that people read: what happened, where, and what to do about it; and one for bytes.

What is expected is a value (`verdict`, `http.Unreachable`, an absent reading). These are for the rest, raised at the
border where a foreign error is mapped once.
"""


class EdgeError(Exception):
    """An error for people: `str()` says what happened and where, `hint` what to do."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class ConfigError(EdgeError):
    """The settings are wrong; nothing was touched."""


class HubError(EdgeError):
    """The hub, or the way to it, does not do what it must."""


class DeviceError(EdgeError):
    """This machine does not do what it must: a disk, a sensor, a missing package, a taken port."""


class Malformed(ValueError):  # noqa: N818 - a name for what the bytes are, not for how they are reported
    """Bytes from outside that do not say what they must. `code` is stable; `field` names the part that is wrong."""

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.field = field
