"""When to ask, of a hub that tells whole seconds: so that it answers just as its second turns.

A `Date` says in which second it was written, and most of such seconds say nothing new. One that was written near their
turn does: it is known then on which side of the turn the axis stood, and so half of what is open yet falls away. So a
request is put off, by a second at most, until its stamp is likely made at the turn that lies in the middle of what the
stamps so far leave open. The way there is taken for half of the quickest exchange.

That pays while little is known, and a fleet that waits for one turn is a wave: `_ENOUGH` exchanges are aimed, and no
more until what was known is forgotten. It is only ever a moment to ask: what an answer says is bounded as before, so a
hub whose `Date` is old or whose line is odd costs accuracy, and no truth. Where the stamps contradict each other if
taken for fresh, nothing is aimed.

Not handled: a connection that must be made first, which delays the stamp.
"""

from collections.abc import Sequence

from edge_agent.model.anchor import Anchor

_SECOND = 1000
"""Ms that a `Date` is coarse."""
_ENOUGH = 20


def turn(claims: Sequence[Anchor], slack: int, now: int) -> int:
    """The axis time (ms) at which to send, from `now` on and less than a second later.

    `claims` are what exchanges with the hub said, one each. Each is wider by `slack` ms on both sides than if the
    hub's stamp were known to be fresh.
    """
    if not 0 < len(claims) < _ENOUGH:
        return now
    lo, hi = max(claim.lo for claim in claims) + slack, min(claim.hi for claim in claims) - slack
    if lo > hi:
        return now
    way = (min(claim.hi - claim.lo for claim in claims) - 2 * slack - _SECOND) // 2
    return now + -(now + way + (lo + hi) // 2) % _SECOND
