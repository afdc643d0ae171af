"""What the service manager is told: systemd's notify protocol, one datagram a message.

The address is that of `$NOTIFY_SOCKET`: a path, or `@name` for an abstract one. Without one nothing is sent, and a
message that cannot be delivered is dropped at once: the service manager has its own watchdog.

Not handled: passing descriptors, addresses of virtual machines (`vsock:`).
"""

import os
import socket
from contextlib import suppress


def service_notifier() -> "Notifier":
    """The notifier of the service manager that the environment names."""
    return Notifier(os.environ.get("NOTIFY_SOCKET"))


def logs_to_journal() -> bool:
    """Whether standard error goes to systemd's journal."""
    return "JOURNAL_STREAM" in os.environ


class Notifier:
    """Speaks to the service manager that started this process, if one did."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def ready(self) -> None:
        """The start is over: the parts run."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The stop has begun; it takes as long as the last pushes do."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for people, shown by `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.settimeout(0)
            way.sendto(message.encode(), self._address)
