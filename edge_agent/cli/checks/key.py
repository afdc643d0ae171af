"""The API key: that it can be read, and by nobody else; and that it is not where the path of its file belongs."""

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.config.load import KEY_VARIABLE
from edge_agent.link.keyfile import KeyFile, shown
from edge_agent.model.failure import ConfigError, DeviceError

_PATH = "name the file (mode 0600) that holds the key; a key that stood there itself was seen: get a new one"


async def _look(patient: Patient) -> list[Finding]:
    if isinstance(patient.reach, ConfigError):
        return []  # told with the config
    key, file = patient.reach.key, patient.loaded.settings.hub.key_file
    where = KEY_VARIABLE if file is None or not isinstance(key, KeyFile) else shown(file)
    try:
        key.read()
    except DeviceError as error:
        if where not in (KEY_VARIABLE, str(file)):
            place = patient.loaded.sources.place(("hub", "key_file"))
            return [Finding("fail", f"hub.key_file: {where}", place, _PATH)]
        # Root's file is handed to the service as a credential; who has no right to it cannot judge it.
        foreign = isinstance(error.__cause__, PermissionError) and patient.running is not None
        return [Finding("warn" if foreign else "fail", str(error), where, error.hint)]
    return [Finding("ok", "present, and nobody else's" if isinstance(key, KeyFile) else "present", where)]


CHECK = Check(20, _look)
