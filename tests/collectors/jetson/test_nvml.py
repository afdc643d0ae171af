"""NVML as a source: what its program says, and how that is read."""

import json
import sys
from pathlib import Path

import pytest

from edge_agent.collectors.jetson.answers import Absent, Answer
from edge_agent.collectors.jetson.nvml import OFFER, answers, knows
from edge_agent.model.ports import Host
from tests.collectors.jetson.scripts import run
from tests.collectors.jetson.spoken import Spoken

LOAD, CLOCK = ("hw.gpu.utilization", "gpu"), ("hw.gpu.speed", "gpu")
ENCODER = ("hw.gpu.utilization", "encoder")

LIBRARY = """
NVML_CLOCK_GRAPHICS = 0
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_LIBRARY_NOT_FOUND, NVML_ERROR_DRIVER_NOT_LOADED, NVML_ERROR_NO_PERMISSION = 12, 9, 4
class NVMLError(Exception):
    def __init__(self, value): self.value = value
class Load: gpu, memory = 85, 3
def refused(*args): raise NVMLError(3)
def nvmlInit():
    if INIT: raise NVMLError(INIT)
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(number): return number
def nvmlDeviceGetName(handle): return "NVIDIA Thor"
def nvmlDeviceGetUtilizationRates(handle): return Load
def nvmlDeviceGetEncoderUtilization(handle): return [12, 167000]
nvmlDeviceGetDecoderUtilization = nvmlDeviceGetClockInfo = refused
def nvmlDeviceGetMemoryInfo(handle): raise NVMLError(MEMORY)
"""


def line(**gpu: object) -> bytes:
    return json.dumps({"gpus": [gpu]}).encode()


def test_a_line_gives_load_and_clock() -> None:
    assert answers(line(name="NVIDIA Thor", utilization=85, clock=1574)) == {
        LOAD: Answer(0.85, 2),
        CLOCK: Answer(1_574_000_000, 0),
    }


@pytest.mark.parametrize("odd", [None, "85", True, -1, [1], 10**400, float("inf"), float("nan")])
def test_what_the_library_does_not_support_is_absent_and_never_zero(odd: object) -> None:
    assert answers(line(utilization=odd)) == {
        LOAD: Answer(None, 2, "not supported"),
        CLOCK: Answer(None, 0, "not supported"),
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b'{"absent": "no driver"}', "no driver"),
        (b'{"gpus": []}', "no GPU"),
        (b'{"gpus": [{}, {}]}', "several GPUs"),
        (b'{"gpus": [{"name": "NVIDIA RTX 6000 Ada Generation", "memory_total": 51527024640}]}', "a card"),
        (b'{"gpus": [1]}', "malformed"),
        (b'{"gpus": 1}', "malformed"),
        (b"{}", "malformed"),
        (b"[]", "malformed"),
    ],
)
def test_what_says_nothing_of_one_gpu_is_absent(said: bytes, reason: str) -> None:
    with pytest.raises(Absent, match=reason):
        answers(said)


def test_a_card_never_stands_for_the_boards_own_gpu() -> None:
    card = {"name": "NVIDIA RTX 6000 Ada Generation", "utilization": 99, "memory_total": 51527024640}
    own = {"name": "Thor", "utilization": 7, "memory_total": None}
    assert answers(json.dumps({"gpus": [card, own]}).encode())[LOAD] == Answer(0.07, 2)
    told = {**own, "memory_total": 131881463808}
    assert answers(json.dumps({"gpus": [card, told]}).encode())[LOAD] == Answer(0.07, 2)


def test_a_gpu_whose_memory_could_not_be_asked_for_is_not_taken_for_the_boards_own(tmp_path: Path) -> None:
    library = LIBRARY.replace("INIT", "0").replace("MEMORY", "15").replace("NVIDIA Thor", "NVIDIA RTX 6000")
    (tmp_path / "pynvml.py").write_text(library)
    (said,) = run("nvmlscript", tmp_path)
    assert said["gpus"][0]["memory_total"] == "unknown"
    with pytest.raises(Absent, match="a card"):
        answers(json.dumps(said).encode())
    assert answers(line(name="NVIDIA Thor", memory_total="unknown", utilization=7))[LOAD] == Answer(0.07, 2)


@pytest.mark.parametrize("what", ["utilization", "encoder"])
def test_a_load_of_more_than_all_is_malformed(what: str) -> None:
    said = answers(line(**{what: 101})).get(LOAD if what == "utilization" else ENCODER)
    assert said == (Answer(None, 2, "malformed") if what == "utilization" else None)


def test_it_knows_the_gpu_alone() -> None:
    assert knows(LOAD)
    assert not knows(("hw.gpu.utilization", "nvenc0"))
    assert not knows(("jetson.emc.utilization", ""))


def test_its_collector_gives_nothing_and_begins_nothing() -> None:
    spoken = Spoken()
    collector = OFFER.build(OFFER.options(), Host(Path("/nowhere"), live=True, commands=spoken))
    assert [tuple(collector.collect()) for _beat in range(40)] == [()] * 40
    assert spoken.asked == []
    assert tuple(OFFER.build(OFFER.options(), Host(Path("/nowhere"), live=False)).collect()) == ()
    assert OFFER.default


def test_the_program_says_what_the_library_tells_until_its_input_ends(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text(LIBRARY.replace("INIT", "0").replace("MEMORY", "3"))
    lines = run("nvmlscript", tmp_path)
    told = {"name": "NVIDIA Thor", "utilization": 85, "clock": None, "encoder": 12, "decoder": None}
    assert lines == [{"gpus": [{**told, "memory_total": None}]}]
    assert answers(json.dumps(lines[0]).encode()) == {
        LOAD: Answer(0.85, 2),
        CLOCK: Answer(None, 0, "not supported"),
        ENCODER: Answer(0.12, 2),
    }


@pytest.mark.parametrize(
    ("number", "reason"), [(12, "no library"), (9, "no driver"), (4, "no permission"), (1, "refused")]
)
def test_the_program_says_why_there_is_nothing(tmp_path: Path, number: int, reason: str) -> None:
    (tmp_path / "pynvml.py").write_text(LIBRARY.replace("INIT", str(number)))
    assert run("nvmlscript", tmp_path) == [{"absent": reason}]


def test_the_program_without_the_package_says_so(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise ImportError")
    assert run("nvmlscript", tmp_path) == [{"absent": "not installed"}]


def test_the_agent_itself_never_imports_the_library() -> None:
    assert not {"pynvml", "jtop"} & set(sys.modules)
