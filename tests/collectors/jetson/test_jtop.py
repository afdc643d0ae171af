"""jtop as a source: what its client says, how that is read, and what is not believed."""

import json
import sys
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.answers import Absent, Answer
from edge_agent.collectors.jetson.jtop import OFFER, answers, knows
from edge_agent.model.ports import Host
from tests.collectors.jetson.scripts import run
from tests.collectors.jetson.spoken import Spoken
from tests.collectors.tree import table

LOAD, CLOCK = ("hw.gpu.utilization", "gpu"), ("hw.gpu.speed", "gpu")
EMC_LOAD, EMC_CLOCK = ("jetson.emc.utilization", ""), ("jetson.emc.frequency", "")
CLOCKS, STATE = "jetson.engine.frequency", "jetson.engine.state"
SAID = {
    "gpu": {"load": 12.5, "clock": 1_300_500},
    "emc": {"clock": 3_199_000},
    "engines": {"NVENC": {"clock": 550_400}, "NVDEC": {"clock": None}, "DLA0_FALCON": {"clock": 1}, "VIC": {}},
}

LIBRARY = """
import queue
class JtopException(Exception): pass
class jtop:
    def __init__(self, interval): self.beats = 0
    def start(self): START
    def ok(self):
        self.beats += 1
        if self.beats > 2: END
        return self.beats <= 2
    gpu = {"gpu": {"status": {"load": 12.5}, "freq": {"cur": 1300500}}}
    memory = {"RAM": {"tot": 1}, "EMC": {"val": 3, "cur": 3199000}}
    engine = {"NVENC": {"NVENC": {"online": True, "cur": 550400}}, "APE": {"APE": {"online": False}}, "SE": None}
"""


def library(folder: Path, start: str = "pass", end: str = "pass") -> Path:
    (folder / "jtop.py").write_text(LIBRARY.replace("START", start).replace("END", end))
    return folder


def test_a_line_gives_the_gpu_the_memory_controller_and_the_engines() -> None:
    assert answers(json.dumps(SAID).encode()) == {
        LOAD: Answer(0.125, 3),
        CLOCK: Answer(1_300_500_000, 0),
        EMC_CLOCK: Answer(3_199_000_000, 0),
        (CLOCKS, "nvenc0"): Answer(550_400_000, 0),
        (CLOCKS, "nvdec0"): Answer(None, 0, "not told"),
        (CLOCKS, "vic"): Answer(None, 0, "not told"),
    }


def test_a_load_of_zero_may_be_one_that_is_not_known() -> None:
    said = answers(json.dumps({"gpu": {"load": 0.0, "clock": 314_000}}).encode())
    assert said[LOAD] == Answer(None, 3, "ambiguous zero")
    assert said[CLOCK] == Answer(314_000_000, 0)


@pytest.mark.parametrize("clock", [1574, 0, None, "1300500"])
def test_a_gpu_whose_unit_is_in_doubt_is_not_believed(clock: object) -> None:
    said = answers(json.dumps({"gpu": {"load": 0.0, "clock": clock}}).encode())
    assert said[LOAD] == Answer(None, 3, "ambiguous unit")
    assert said[CLOCK] == Answer(None, 0, "ambiguous unit")
    assert said[EMC_CLOCK].value is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b'{"absent": "version mismatch"}', "version mismatch"), (b"[]", "malformed"), (b"1", "malformed")],
)
def test_what_says_nothing_is_absent(said: bytes, reason: str) -> None:
    with pytest.raises(Absent, match=reason):
        answers(said)


def test_it_knows_no_load_but_the_gpus_and_no_state() -> None:
    assert knows(LOAD)
    assert not any(map(knows, [("hw.gpu.utilization", "nvenc0"), EMC_LOAD, (STATE, "nvenc0")]))


def test_it_is_kept_running_and_says_whether_it_speaks() -> None:
    spoken = Spoken()
    collector = OFFER.build(
        OFFER.options(python="/usr/bin/python3"), Host(Path("/nowhere"), live=True, commands=spoken)
    )
    assert table(collector.collect()) == {"jetson.source.up jtop": "starting"}
    argv, every = spoken.offers["jtop"]
    assert argv[:2] == ("/usr/bin/python3", "-I")
    assert Path(argv[2]).name == "jtopscript.py"
    assert Path(argv[2]).exists()
    assert every == 1.0
    for line, shown in (
        (json.dumps(SAID).encode(), 1),
        (b'{"absent": "no permission"}', "no permission"),
        (b"{", "malformed"),
        (None, "missing"),
    ):
        spoken.says["jtop"] = line
        assert table(collector.collect()) == {"jetson.source.up jtop": shown}
    spoken.says["jtop"], spoken.fresh = json.dumps(SAID).encode(), False
    assert table(collector.collect()) == {"jetson.source.up jtop": "stale"}
    assert not OFFER.default


def test_it_runs_under_this_interpreter_where_no_other_is_named() -> None:
    spoken = Spoken()
    tuple(OFFER.build(OFFER.options(), Host(Path("/nowhere"), live=True, commands=spoken)).collect())
    assert spoken.offers["jtop"][0][0] == sys.executable


def test_the_program_says_what_the_client_tells(tmp_path: Path) -> None:
    said = {
        "gpu": {"load": 12.5, "clock": 1300500},
        "emc": {"clock": 3199000},
        "engines": {"NVENC": {"clock": 550400}, "APE": {"clock": None}},
    }
    assert run("jtopscript", library(tmp_path)) == [said, said, {"absent": "no samples"}]


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("raise JtopException('The jtop.service is not active. Please run')", "pass", "service not active"),
        ('raise JtopException("I can\'t access jtop.service.")', "pass", "no permission"),
        ("raise JtopException('Mismatch version jtop service: [4.3.2]')", "pass", "version mismatch"),
        ("raise JtopException('mismatch python version between library and service')", "pass", "python mismatch"),
        ("raise JtopException('Authentication mismatch with jetson-stats server')", "pass", "refused"),
        ("raise KeyError('board')", "pass", "unknown version"),
        ("pass", "raise TypeError", "unknown version"),
        ("raise queue.Empty", "pass", "service gone"),
        ("raise BrokenPipeError", "pass", "service gone"),
        ("pass", "raise ConnectionResetError", "service gone"),
        ("pass", "raise EOFError", "service gone"),
        ("pass", "raise JtopException('Lost connection with jtop server')", "service gone"),
    ],
)
def test_the_program_says_why_it_ends(tmp_path: Path, start: str, end: str, reason: str) -> None:
    assert run("jtopscript", library(tmp_path, start, end))[-1] == {"absent": reason}


def test_the_program_without_the_package_says_so(tmp_path: Path) -> None:
    (tmp_path / "jtop.py").write_text("raise ImportError")
    assert run("jtopscript", tmp_path) == [{"absent": "not installed"}]
