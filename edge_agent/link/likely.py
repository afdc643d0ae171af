"""The offset that a few exchanges make likely, inside the bounds that they make sure.

Each exchange bounds the offset twice: from above by how long its request took, from below by how long its answer took.
What all say together is sure for the worst crystal. Its middle is no bad estimate, but it gives two things away, and
this module takes them back; it never leaves the bounds, so a line or a crystal of another kind costs accuracy, not
truth. Two estimates:

    near  the middle between the least upper and the greatest lower bound: what the quickest request and the quickest
          answer say (the clock filter of RFC 5905, section 10, rests on that too). Bounds age as with a usual crystal:
          as with the worst one, a quick exchange of minutes ago would be forgotten too early.
    far   the middle between the greatest upper and the least lower bound: the slowest request and the slowest answer.
          Where a line has a greatest length, as with a timer that it waits for, the slow ones cluster as the quick
          ones do, and say as much.

`near` alone counts until there are a dozen. Then the two are weighed by the inverse of their variances. That of each is
taken from its own third of the bounds: the closer these lie, the closer the outermost is to its limit. To that of `far`
come how far a crystal may have run since, and how far it lies from `near`: a line that is slow in one direction only
pulls the two apart, and it is `far` that is wrong then.

Not handled: a line whose least length differs between its two directions. Nothing that the device can see tells.
"""

from collections.abc import Sequence

from edge_agent.model.anchor import Anchor

_USUAL_PPM = 50
"""How far off the crystals of boards are sold as being, at most: 20 to 50 ppm."""
_RUN_PPM = 25
"""How far off they are taken to be for the variance of `far`."""
_ENOUGH = 12
_PULLED = 4
"""How many deviations of `far` its distance from `near` is taken for."""
_GRAIN_MS = 4
"""What rounding adds to a spread: four times (sent, received, twice the stamp) to a whole ms."""


def likely(claims: Sequence[Anchor], within: Anchor) -> int:
    """The likely offset in ms at the time of `within`, and inside it.

    `claims` are what exchanges with one source said, one each, before the time of `within`: at least one of them.
    `within` may be closer than they are, where another source is believed as well.
    """
    upper = sorted(claim.hi for claim in claims)
    lower = sorted((claim.lo for claim in claims), reverse=True)
    ages = [within.at - claim.at for claim in claims]
    ageing = _USUAL_PPM / 1_000_000
    least = min(claim.hi + age * ageing for claim, age in zip(claims, ages, strict=True))
    greatest = max(claim.lo - age * ageing for claim, age in zip(claims, ages, strict=True))
    near = (min(least, within.hi) + max(greatest, within.lo)) / 2
    estimate = near
    if len(claims) >= _ENOUGH:
        far = (upper[-1] + lower[-1]) / 2
        third = len(claims) // 3
        run = _RUN_PPM / 1_000_000 * sum(ages) / len(ages)
        near_variance = _variance(upper[third] - upper[0] + lower[0] - lower[third], third)
        far_variance = _variance(upper[-1] - upper[-1 - third] + lower[-1 - third] - lower[-1], third)
        far_variance += run**2 + ((far - near) / _PULLED) ** 2
        estimate = (near * far_variance + far * near_variance) / (near_variance + far_variance)
    return min(max(round(estimate), within.lo), within.hi)


def _variance(spread: int, number: int) -> float:
    """Ms squared by which the outermost of so many bounds in each direction is off, that lie so far apart."""
    return ((spread + _GRAIN_MS) / (2 * number)) ** 2
