"""The clock: what the kernel says of it, how far the hub says that it is off, and what the running agent has learnt.

The agent rests on no wall clock: what is wrong here costs the trust in times that are shown on this device, and true
time itself only where neither hub nor kernel tells it.
"""

from collections.abc import Iterator

from edge_agent.cli.finding import Check, Finding, Patient
from edge_agent.cli.moment import written_error
from edge_agent.cli.status import clock_line

_LEAST_OFF_MS = 1000
"""A wall clock that is less off than that is right for people."""
_SET = "let systemd-timesyncd or chrony keep the clock: `timedatectl set-ntp true`"


async def _look(patient: Patient) -> list[Finding]:
    return [*_kernel(patient), *_hub(patient), *_agent(patient)]


def _kernel(patient: Patient) -> Iterator[Finding]:
    error = patient.ports.clock.wall_error()
    if error is None:
        yield Finding("warn", "the kernel does not say that its clock is synchronised", "the kernel", _SET)
    else:
        yield Finding("ok", f"synchronised, {written_error(error.most)}", "the kernel")


def _hub(patient: Patient) -> Iterator[Finding]:
    known, clock = patient.time.known(), patient.ports.clock
    if known is None:
        return  # nobody answered, which is told with the hub
    if known.source == "guess" or known.error is None:
        yield Finding("warn", "the hub's own clock is not synchronised", "the hub", "let the hub's machine keep time")
        return
    off = clock.wall() - clock.now() - known.offset
    kernel = clock.wall_error()
    room = known.error + (kernel.most if kernel is not None else 0)
    told = f"the wall clock is {abs(off) / 1000:,.3f} s {'ahead of' if off > 0 else 'behind'} the hub's"
    if abs(off) > max(room, _LEAST_OFF_MS):
        yield Finding("warn", f"{told}, {written_error(room)}", "the hub", _SET)
    else:
        yield Finding("ok", f"{told}, {written_error(room)}", "the hub")


def _agent(patient: Patient) -> Iterator[Finding]:
    clock = (patient.running or {}).get("clock")
    if clock is None:
        return
    if "source" not in clock:
        yield Finding("warn", clock_line(clock), "the running agent", "restart the agent")
    elif clock["source"] in {None, "guess"}:
        yield Finding(
            "warn", clock_line(clock), "the running agent", "readings are placed once the hub or the kernel tells"
        )
    else:
        yield Finding("ok", clock_line(clock), "the running agent")


CHECK = Check(70, _look)
