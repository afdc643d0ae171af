"""What a plan is built of: the machine's identity, and who owns which chips."""

from pathlib import Path

from edge_agent.agent.machine import host_of
from edge_agent.agent.plan import build_plan
from edge_agent.config.load import load

MACHINES = Path(__file__).parents[1] / "machines"


def resource(machine: str) -> dict[str, str]:
    return build_plan(load(Path("/dev/null"), {"device": {"id": "one"}}), host_of(MACHINES / machine)).resource


def test_a_jetson_is_known_by_its_module_its_chip_and_its_release() -> None:
    told = resource("orin-nano-jp6")
    assert told["device.manufacturer"] == "NVIDIA"
    assert told["jetson.soc"] == "t234"
    assert told["jetson.l4t.version"].startswith("36.4")
    assert told["jetson.jetpack.version"].startswith("6.")
    assert "Orin Nano" in told["device.model.name"]
    assert "unknown" not in told.values()


def test_what_a_machine_does_not_say_of_itself_is_left_out() -> None:
    assert not {name for name in resource("bare-vm") if name.startswith(("jetson.", "device.m"))}
    assert not {name for name in resource("container-without-sys-firmware") if name.startswith("jetson.")}
