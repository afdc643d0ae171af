"""`edge-agent hub backup` and `restore` beside a hub that runs, and in its place."""

from pathlib import Path

import orjson
import pytest

from edge_agent.cli.hub import main
from edge_agent.cli.hubbackup import back_up, restore
from edge_agent.hub.settings import Settings
from edge_agent.model.failure import DeviceError
from tests.system.program import DEVICE, Site, ask, free_port


def test_a_running_hub_is_backed_up_and_put_back_once_it_has_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, kept = Site(tmp_path, free_port(), free_port()), tmp_path / "kept"
    settings = Settings(folder=tmp_path / "hub")
    with pytest.raises(DeviceError, match="there is no hub"):
        back_up(settings, kept, as_json=False)
    with site.hub() as hub:
        back_up(settings, kept, as_json=False)
        said = capsys.readouterr().out
        assert "1 devices, 0 frames" in said
        assert "keys are in it" in said
        with pytest.raises(DeviceError, match="stands already"):
            back_up(settings, kept, as_json=True)
        with pytest.raises(DeviceError, match="another hub serves"):
            restore(settings, kept, replace=True, as_json=True)
        assert hub.stop() == 0
    with pytest.raises(DeviceError, match="stands already") as found:
        restore(settings, kept, replace=False, as_json=False)
    assert "--replace" in found.value.hint
    restore(settings, kept, replace=True, as_json=True)
    told = orjson.loads(capsys.readouterr().out)
    assert (told["devices"], Path(told["aside"]).parent) == (1, tmp_path / "hub")
    with site.hub("again") as again:
        key = site.key_file.read_text().strip()
        answer = ask(site.hub_port, f"/api/v1/audit?device={DEVICE}", {"x-api-key": key})
        assert answer is not None
        assert answer[0] == 200, "the device's key is known"
        assert again.stop() == 0


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_each_command_tells_how_it_is_used(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"example: edge-agent hub {verb} /mnt/usb" in " ".join(capsys.readouterr().out.split())
