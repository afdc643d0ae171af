"""The hub's wall clock: what time it is, how far off that may be, and whether it can be built on.

How far it may be off says the kernel; where the kernel says nothing, the operator's setting; where there is none either
the clock is not synchronised, and what it says is a guess. A guess has a name, its `era`: it ends when the clock is
stepped, or the hub, and what was counted by one era does not bind another.

A step is seen against the axis, which no daemon sets: the wall clock moved by more than a second, and a thousandth of
the time in between. `is_settled` means synchronised, and ten minutes without a step since the hub began: what cannot
be undone waits for it. The kernel is asked at most once a second, and at once after a step.
"""

from edge_agent.model.ports import Clock

_ASK_MS = 1000
_STEP_MS = 1000
_SLEW = 1000
"""A clock that is slewed moves against the axis by less than one part in so many."""

_HELD_MS = 600_000


class Wall:
    """Reads the clock; `stated` is the operator's word for how far it may be off in ms, None when there is none."""

    def __init__(self, clock: Clock, stated: int | None) -> None:
        self._clock, self._stated = clock, stated
        self._told: int | None = None
        self._asked_at: int | None = None
        self._offset = self._measured_at = self._began_at = 0
        self._era = 0
        self.steps = 0

    def now(self) -> int:
        """The hub's Unix ms."""
        return self._look()

    @property
    def error(self) -> int | None:
        """How far off it may be in ms; None when it is not synchronised."""
        self._look()
        return self._stated if self._told is None else self._told

    @property
    def era(self) -> int:
        """0 while it is synchronised; else the name of the guess, which no other has."""
        return 0 if self.error is not None else self._era

    @property
    def is_settled(self) -> bool:
        """Whether it is synchronised, and was not stepped for ten minutes."""
        return self.error is not None and self._clock.now() - self._began_at >= _HELD_MS

    def _look(self) -> int:
        at, wall = self._clock.now(), self._clock.wall()
        first, gone = self._asked_at is None, at - self._measured_at
        stepped = not first and abs(wall - at - self._offset) > _STEP_MS + gone // _SLEW
        if first or stepped:
            self.steps += stepped
            self._began_at, self._era = at, max(1, wall)
        if first or stepped or gone >= _HELD_MS:
            self._offset, self._measured_at = wall - at, at
        if stepped or self._asked_at is None or at - self._asked_at >= _ASK_MS:
            error = self._clock.wall_error()
            self._told, self._asked_at = None if error is None else error.most, at
        return wall
