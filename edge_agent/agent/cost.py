"""What this process costs its machine: processor time, memory and bytes bound for flash.

Read when somebody asks, not on a beat: private memory makes the kernel walk every page.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Since the process began: processor seconds, bytes handed to block devices; private and resident MiB now."""

    cpu_seconds: float
    uss_mib: float
    rss_mib: float
    flash_bytes: int


def own_cost() -> Cost:
    """The cost of this process until now."""
    import psutil  # noqa: PLC0415 - who asks for it can wait for the library; the first push cannot

    process = psutil.Process()
    spent, memory = process.cpu_times(), process.memory_full_info()
    return Cost(
        cpu_seconds=round(spent.user + spent.system, 2),
        uss_mib=round(memory.uss / 2**20, 1),
        rss_mib=round(memory.rss / 2**20, 1),
        flash_bytes=process.io_counters().write_bytes,
    )
