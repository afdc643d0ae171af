"""The API key: that it can be read, and by nobody else."""

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.config.load import KEY_VARIABLE
from edge_agent.link.keyfile import KeyFile
from edge_agent.model.failure import ConfigError, DeviceError


async def _look(patient: Patient) -> list[Finding]:
    if isinstance(patient.reach, ConfigError):
        return []  # told with the config
    key = patient.reach.key
    file = patient.loaded.settings.hub.key_file
    where = str(file) if isinstance(key, KeyFile) else KEY_VARIABLE
    try:
        key.read()
    except DeviceError as error:
        # Root's file is handed to the service as a credential; who has no right to it cannot judge it.
        foreign = isinstance(error.__cause__, PermissionError) and patient.running is not None
        return [Finding("warn" if foreign else "fail", str(error), where, error.hint)]
    return [Finding("ok", "present, and nobody else's" if isinstance(key, KeyFile) else "present", where)]


CHECK = Check(20, _look)
