"""The system's collectors against what another program, node_exporter, says of the same recorded machine.

Every metric family of its expected output that is about this room's subjects is either compared, sample by sample, or
stands in a table with the reason why not. A family that is in neither table fails the test. So it is with every metric
of ours: compared with theirs, or in a table with the reason why not.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge_agent import collectors
from tests.collectors.tree import FIXTURES, build, plant, table

FOLDER = FIXTURES / "node_exporter"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the recorded trees are not here")

SUBJECTS = re.compile(
    r"node_(boot_time|context_switches|cpu|disk|filefd|filesystem|forks|intr|load|memory|netstat|network|pressure"
    r"|processes|procs|softirqs|time|uname|vmstat)(_|\d|$)"
)
FILES = (
    "diskstats", "loadavg", "meminfo", "stat", "vmstat", "pressure/cpu", "pressure/io", "pressure/irq",
    "pressure/memory",
)  # fmt: skip
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {},
    "disk": {"exclude": (), "most": 99},
    "load": {},
    "memory": {},
    "pressure": {"resources": ("cpu", "memory", "io", "irq")},
    "processes": {},
}
"""The collectors, with nothing left out that the other program tells."""

Shown = Mapping[str, float]
Ours = Callable[[Shown, Mapping[str, str]], float]


def one(series: str) -> Ours:
    """Our series of this name; labels of theirs may stand in braces."""
    return lambda shown, labels: shown[series.format(**labels)]


def added(*names: str) -> Ours:
    """The sum of several of ours: theirs does not tell them apart."""
    return lambda shown, labels: sum(shown[name.format(**labels)] for name in names)


COMPARED: Mapping[str, Ours] = {
    "node_load1": one("system.cpu.load_average.1m"),
    "node_load5": one("system.cpu.load_average.5m"),
    "node_load15": one("system.cpu.load_average.15m"),
    "node_procs_blocked": one("linux.thread.blocked"),
    "node_forks_total": one("system.process.created"),
    "node_processes_pids": one("system.process.count"),
    "node_disk_read_bytes_total": one("system.disk.io read {device}"),
    "node_disk_written_bytes_total": one("system.disk.io write {device}"),
    "node_disk_reads_completed_total": one("system.disk.operations read {device}"),
    "node_disk_writes_completed_total": one("system.disk.operations write {device}"),
    "node_disk_reads_merged_total": one("system.disk.merged read {device}"),
    "node_disk_writes_merged_total": one("system.disk.merged write {device}"),
    "node_disk_read_time_seconds_total": one("system.disk.operation_time read {device}"),
    "node_disk_write_time_seconds_total": one("system.disk.operation_time write {device}"),
    "node_disk_io_time_seconds_total": one("system.disk.io_time {device}"),
    "node_memory_MemTotal_bytes": one("system.memory.limit"),
    "node_memory_MemFree_bytes": one("system.memory.usage free"),
    "node_memory_Buffers_bytes": one("system.memory.usage buffers"),
    "node_memory_Cached_bytes": one("system.memory.usage cached"),
    "node_memory_Shmem_bytes": one("system.memory.linux.shared"),
    "node_memory_SReclaimable_bytes": one("system.memory.linux.slab.usage reclaimable"),
    "node_memory_SUnreclaim_bytes": one("system.memory.linux.slab.usage unreclaimable"),
    "node_memory_Slab_bytes": added(
        "system.memory.linux.slab.usage reclaimable", "system.memory.linux.slab.usage unreclaimable"
    ),
    "node_memory_SwapFree_bytes": one("system.paging.usage free"),
    "node_memory_SwapTotal_bytes": added("system.paging.usage used", "system.paging.usage free"),
    "node_vmstat_pswpin": one("system.paging.operations in major"),
    "node_vmstat_pswpout": one("system.paging.operations out major"),
    "node_vmstat_pgmajfault": one("system.paging.faults major"),
    "node_vmstat_pgfault": added("system.paging.faults major", "system.paging.faults minor"),
    "node_pressure_cpu_waiting_seconds_total": one("linux.pressure.stall.time some cpu"),
    "node_pressure_io_waiting_seconds_total": one("linux.pressure.stall.time some io"),
    "node_pressure_io_stalled_seconds_total": one("linux.pressure.stall.time full io"),
    "node_pressure_memory_waiting_seconds_total": one("linux.pressure.stall.time some memory"),
    "node_pressure_memory_stalled_seconds_total": one("linux.pressure.stall.time full memory"),
    "node_pressure_irq_stalled_seconds_total": one("linux.pressure.stall.time full irq"),
}
"""Their family, and how its value comes from our series."""

UNCOMPARED = (
    (r"node_cpu_seconds_total", "compared in a test of its own: two of their modes are one of ours"),
    (r"node_cpu_(scaling_)?frequency.*|node_cpu_scaling_governor", "of the sensors' comparison"),
    (r"node_cpu_(bug|flag|vulnerabilities)?_?info|node_cpu_isolated", "facts about the processor, no readings"),
    (r"node_cpu_(core|package)_throttles_total", "of the sensors' comparison"),
    (r"node_cpu_guest_seconds_total", "guests' time is part of user and nice, as the kernel counts it"),
    (r"node_disk_(device_mapper|filesystem)?_?info|node_disk_ata_.*", "facts from udev's files, no readings"),
    (r"node_disk_io_now", "one instant of a queue, which says little once a second"),
    (r"node_disk_io_time_weighted_seconds_total", "the rates of operation_time say the same, each way"),
    (r"node_disk_(discard|flush).*", "semantic conventions have directions read and write only"),
    (r"node_memory_numa_.*", "NUMA nodes are not told apart"),
    (r"node_memory_.*", "a line of meminfo that is not collected"),
    (r"node_vmstat_(oom_kill|pgpgin|pgpgout)", "a line of vmstat that is not collected"),
    (r"node_(netstat|network)_.*", "the recorded tree has no proc/net/dev: theirs came over netlink"),
    (r"node_procs_running", "read from loadavg here, which the recorded tree has of another instant"),
    (r"node_processes_(threads|state|max_.*)", "sums over each process's files, which are not opened here"),
    (r"node_(context_switches|intr|softirqs)_.*", "not collected"),
    (r"node_filefd_.*", "not collected"),
    (r"node_boot_time_seconds", "uptime is told instead, and the recorded tree has no proc/uptime"),
    (r"node_time_.*|node_uname_info", "the machine's clock and name are no readings"),
)
"""Their families that are not compared, as patterns, each with its reason."""

COMPARED_APART = ("system.cpu.time",)
"""Our metrics that a test of their own compares."""
ONLY_OURS: Mapping[str, str] = {
    "linux.thread.count": "from loadavg; theirs adds up each process's files",
    "linux.thread.runnable": "from loadavg; theirs is from stat, and the recorded files are of two instants",
    "system.cpu.logical.count": "theirs has none; the times are compared cpu by cpu",
    "system.cpu.utilization": "a difference between two reads: the recorded tree is of one instant",
    "system.filesystem.inodes.limit": "asked of the kernel, which answers for this machine, not for a recorded one",
    "system.filesystem.inodes.usage": "asked of the kernel",
    "system.filesystem.limit": "asked of the kernel",
    "system.filesystem.usage": "asked of the kernel",
    "system.filesystem.utilization": "asked of the kernel",
    "system.memory.linux.available": "the recorded meminfo is of a kernel before MemAvailable",
    "system.memory.utilization": "made of MemAvailable, which is not recorded",
    "system.network.errors": "the recorded tree has no proc/net/dev",
    "system.network.io": "the recorded tree has no proc/net/dev",
    "system.network.packet.count": "the recorded tree has no proc/net/dev",
    "system.network.packet.dropped": "the recorded tree has no proc/net/dev",
    "system.paging.utilization": "a share of two numbers that are compared",
    "system.uptime": "the recorded tree has no proc/uptime",
}
"""Our metrics that are not compared, each with its reason."""
OURS = ("cpu", "disk", "filesystem", "load", "memory", "network", "pressure", "processes", "uptime")
ATTRIBUTES = re.compile(
    r"linux\.pressure\.(kind|resource)|system\.(device|filesystem\.(mode|mountpoint|state|type)"
    r"|memory\.(linux\.slab\.)?state|paging\.(direction|fault\.type|state))"
)


class Sample(NamedTuple):
    """One line of the other program."""

    family: str
    labels: Mapping[str, str]
    value: float


@cache
def theirs() -> tuple[Sample, ...]:
    """What it says about the subjects of this room."""
    samples = []
    for line in (FOLDER / "e2e-output.txt").read_text().splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and SUBJECTS.match(found[1]):
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            samples.append(Sample(found[1], labels, float(found[3])))
    return tuple(samples)


def ours(root: Path) -> dict[str, Shown]:
    """What each collector says: its readings that have a value."""
    plant(root, {f"proc/{name}": (FOLDER / "proc" / name).read_bytes() for name in FILES})
    for folder in (FOLDER / "proc").glob("[0-9]*"):
        (root / "proc" / folder.name).mkdir(exist_ok=True)
    collected: dict[str, Shown] = {}
    for name, options in OPTIONS.items():
        offer = import_module(f"edge_agent.collectors.{name}").OFFER
        shown = table(build(offer, root, **options).collect())
        collected[name] = {key: value for key, value in shown.items() if isinstance(value, int | float)}
    return collected


def merged(collected: Mapping[str, Shown]) -> dict[str, float]:
    return {key: value for shown in collected.values() for key, value in shown.items()}


def families(samples: Iterable[Sample]) -> set[str]:
    return {sample.family for sample in samples}


def test_each_of_their_families_is_compared_or_has_its_reason() -> None:
    said = families(theirs())
    assert len(said) > 150
    unreasoned = {
        family
        for family in said - COMPARED.keys()
        if not any(re.fullmatch(pattern, family) for pattern, _reason in UNCOMPARED)
    }
    assert not unreasoned
    assert COMPARED.keys() <= said
    assert [pattern for pattern, _reason in UNCOMPARED if not any(re.fullmatch(pattern, each) for each in said)] == []


def our_names() -> set[str]:
    """The names of all metrics that our collectors can tell, as they stand in their files."""
    room = Path(collectors.__file__).parent
    files = [file for name in OURS for file in (room / f"{name}.py", *(room / name).glob("*.py")) if file.exists()]
    said = {name for file in files for name in re.findall(r'"((?:linux|system)\.[a-z0-9_.]+)"', file.read_text())}
    spans = {f"system.cpu.load_average.{span}" for span in ("1m", "5m", "15m")}
    return {name for name in said if not ATTRIBUTES.fullmatch(name)} | spans


def test_each_of_our_metrics_is_compared_or_has_its_reason(tmp_path: Path) -> None:
    noted = _Noted(merged(ours(tmp_path)))
    for sample in theirs():
        if sample.family in COMPARED and not is_partition(sample.labels.get("device", "")):
            COMPARED[sample.family](noted, sample.labels)
    compared = {series.split()[0] for series in noted.asked} | set(COMPARED_APART)
    assert our_names() == compared | ONLY_OURS.keys()
    assert not compared & ONLY_OURS.keys()


@pytest.mark.parametrize("family", sorted(COMPARED))
def test_a_family_agrees_sample_by_sample(tmp_path: Path, family: str) -> None:
    shown = merged(ours(tmp_path))
    samples = [
        sample for sample in theirs() if sample.family == family and not is_partition(sample.labels.get("device", ""))
    ]
    assert samples
    assert {str(sample.labels): COMPARED[family](shown, sample.labels) for sample in samples} == {
        str(sample.labels): pytest.approx(sample.value, rel=1e-12, abs=1e-12) for sample in samples
    }


def is_partition(device: str) -> bool:
    """Theirs tells partitions of memory cards, ours tells whole devices."""
    return re.fullmatch(r"mmcblk\d+p\d+", device) is not None


def test_times_of_processors_agree_in_each_mode(tmp_path: Path) -> None:
    shown = ours(tmp_path)["cpu"]
    modes: dict[tuple[str, str], float] = {}
    for sample in theirs():
        if sample.family == "node_cpu_seconds_total":
            mode = {"irq": "interrupt", "softirq": "interrupt"}.get(sample.labels["mode"], sample.labels["mode"])
            key = (sample.labels["cpu"], mode)
            modes[key] = modes.get(key, 0.0) + sample.value
    assert len(modes) == 8 * 7
    assert {f"system.cpu.time {cpu} {mode}": pytest.approx(value) for (cpu, mode), value in modes.items()} == {
        key: value for key, value in shown.items() if key.startswith("system.cpu.time ")
    }


def test_disks_that_only_we_tell_are_those_that_they_leave_out(tmp_path: Path) -> None:
    told = {key.rpartition(" ")[2] for key in ours(tmp_path)["disk"]}
    devices = {sample.labels["device"] for sample in theirs() if sample.family == "node_disk_read_bytes_total"}
    assert {device for device in devices if not is_partition(device)} <= told
    assert all(re.fullmatch(r"(ram|loop|fd)\d+", device) for device in told - devices)


def test_what_we_tell_and_they_do_not_is_known(tmp_path: Path) -> None:
    collected = ours(tmp_path)
    noted = _Noted(
        {key: value for name in OPTIONS if name not in {"cpu", "disk"} for key, value in collected[name].items()}
    )
    for sample in theirs():
        if sample.family in COMPARED and not sample.family.startswith("node_disk_"):
            COMPARED[sample.family](noted, sample.labels)
    assert noted.keys() - noted.asked == {
        "linux.pressure.stall.time full cpu",  # theirs leaves it out: it means nothing for the whole machine
        "linux.thread.count",
        "linux.thread.runnable",
        "system.paging.utilization used",
    }


class _Noted(dict[str, float]):
    """Our series, and which of them were asked for."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> float:
        self.asked.add(key)
        return super().__getitem__(key)
