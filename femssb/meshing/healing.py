"""Features of cut balls that are too small to be meshed, and the moves of centres that mend them.

Every feature is a signed distance that must not be close to zero: the depth at which two balls, or
a ball and a plane, overlap; the distance of two circles on one sphere; the distance of a third
circle from where two cut each other. Where one is, the centres concerned move by the smallest
changes that take it, to first order, to the nearer end of what is allowed; the depth of two balls
stays on its side of zero, so that contacts neither open nor close. All changes are added up, and
this is repeated until nothing is left to mend.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from typing import NamedTuple

import numpy as np

from femssb.arrays import Array
from femssb.meshing.cut_balls import Balls, Cap, caps, near, walls

MOST_MOVES = 200  # after which healing ends without success
NECK = 2.0  # radius of the smallest disc in which two balls meet, in units of the smallest feature
WEDGE = 0.16  # least angle between two surfaces where they meet [rad]
SHALLOW = 0.2  # depth at which a disc on the box must cut a plane, in units of the smallest feature
BEYOND = 1.1  # of the way to what is allowed is gone
SIDE = -3  # what a plane of the sides of the box belongs to
DIFFERENCE = 1e-6  # of a centre by which slopes are found, in units of the radius
PATIENCE = 120  # moves after which a contact may open or close


class Feature(NamedTuple):
    """A signed distance that is too small, and how it changes when centres move."""

    value: float
    low: float  # it must be at most this,
    high: float  # or at least this
    side: int  # -1 or 1 if it must stay on this side of zero, 0 if either will do
    balls: tuple[int, ...]
    slopes: tuple[Array, ...]  # (3,) by the place of each ball
    what: str

    def step(self) -> float:
        """Return the change that mends it."""
        up, down = self.high - self.value, self.low - self.value
        if self.side:
            return up if self.side > 0 else down
        return up if up < -down else down


@dataclass(frozen=True, kw_only=True, slots=True)
class Healed:
    """Balls without features that are too small.

    Attributes:
        balls: The balls where they are now.
        moves: By how much each centre was moved, (n, 3).
        left: Features that are still too small, in words; empty if all were mended.
    """

    balls: Balls
    moves: Array
    left: tuple[str, ...]


def heal(balls: Balls, smallest: float, touching: set[tuple[int, int]] | None = None) -> Healed:
    """Move centres until no feature is smaller than a length.

    Args:
        balls: The balls.
        smallest: Least length of a feature.
        touching: Pairs of balls, and of balls and planes, with numbers below 0, that touch and go
            on to do so as long as that is possible; None: those that do now.
    """
    if touching is None:
        touching = _touching(balls)
    centres = balls.centres
    moves, random = np.zeros_like(centres), np.random.default_rng(0)
    on_balls: list[list[Feature]] = [[] for _ in centres]
    stale, before = set(range(len(centres))), caps(balls)
    for turn in range(MOST_MOVES):
        now = _placed(balls, centres + moves)
        cut = caps(now)
        for ball, (one, other) in enumerate(zip(before, cut, strict=True)):
            if ball in stale or any(cap.other in stale for cap in one + other):
                on_balls[ball] = list(_on_ball(now, ball, cut[ball], smallest))
        before = cut
        found = list(_depths(now, smallest, touching if turn < PATIENCE else None))
        found += [feature for ball in on_balls for feature in ball]
        if not found:
            break
        change, parts = np.zeros_like(centres), np.zeros(len(centres))
        for feature in found:
            square = sum(float(slope @ slope) for slope in feature.slopes)
            if square < 1e-12:
                continue
            for ball, slope in zip(feature.balls, feature.slopes, strict=True):
                change[ball] += BEYOND * feature.step() / square * slope
                parts[ball] += 1
        if turn % 10 == 9:  # features that pull a centre to and fro part for good
            change[parts > 0] += 0.5 * smallest * random.normal(size=(int((parts > 0).sum()), 3))
        length = np.linalg.norm(change, axis=1, keepdims=True)
        stale = set(np.flatnonzero(length[:, 0]).tolist())
        moves = moves + change * np.minimum(1.0, 2 * smallest / np.maximum(length, 1e-300))
    now = _placed(balls, centres + moves)
    left = tuple(feature.what for feature in features(now, smallest))
    return Healed(balls=now, moves=moves, left=left)


def _placed(balls: Balls, centres: Array) -> Balls:
    inside = centres.copy()
    inside[:, :2] = balls.lower + (inside[:, :2] - balls.lower) % balls.lengths
    return replace(balls, centres=inside)


def _touching(balls: Balls) -> set[tuple[int, int]]:
    """Return the pairs of balls that overlap, and of balls and planes, with numbers below 0."""
    return {(ball, cap.other) for ball, cut in enumerate(caps(balls)) for cap in cut}


def features(
    balls: Balls, smallest: float, touching: set[tuple[int, int]] | None = None
) -> Iterator[Feature]:
    """Yield the features that are too small.

    Args:
        balls: The balls.
        smallest: Least length of a feature.
        touching: Pairs that are to stay in contact while all others stay apart; None: either.
    """
    yield from _depths(balls, smallest, touching)
    for ball, cut in enumerate(caps(balls)):
        yield from _on_ball(balls, ball, cut, smallest)


def _on_ball(balls: Balls, ball: int, cut: list[Cap], smallest: float) -> Iterator[Feature]:
    """Yield the features between the circles on a ball."""
    circles = _circles(balls, ball, cut)
    yield from _strips(balls, ball, circles, smallest)
    yield from _corners(balls, ball, circles, smallest)


def _depths(
    balls: Balls, smallest: float, touching: set[tuple[int, int]] | None
) -> Iterator[Feature]:
    radii = balls.radii
    pairs = near(balls, smallest)
    branches = pairs.branches(balls)
    apart = np.linalg.norm(branches, axis=1)
    depth = radii[pairs.first] + radii[pairs.second] - apart
    least = _least_depth(1 / radii[pairs.first] + 1 / radii[pairs.second], smallest)
    wrong = depth < least
    if touching is not None:  # or deep, where there is to be no contact
        couples = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        wrong |= np.array([couple not in touching for couple in couples], dtype=bool)
    for k in np.flatnonzero(wrong).tolist():
        i, j = int(pairs.first[k]), int(pairs.second[k])
        along = branches[k] / apart[k]
        side = 0 if touching is None else 1 if (i, j) in touching else -1
        yield Feature(
            float(depth[k]),
            -smallest,
            float(least[k]),
            side,
            (i, j),
            (along, -along),
            f"balls {i} and {j} almost touch",
        )
    for i, radius in enumerate(radii.tolist()):
        least_depth = float(_least_depth(np.array(1 / radius), smallest))
        planes = [(np.array([0.0, 0.0, -1.0]), float(balls.centres[i, 2]), "the collector", -1)]
        high = balls.height - float(balls.centres[i, 2])
        planes.append((np.array([0.0, 0.0, 1.0]), high, "the separator", -2))
        for normal, offset, name, other in planes:
            value = radius - offset
            side = 0 if touching is None else 1 if (i, other) in touching else -1
            if -smallest < value < (np.inf if side < 0 else least_depth):
                yield Feature(
                    value,
                    -smallest,
                    least_depth,
                    side,
                    (i,),
                    (normal,),
                    f"ball {i} almost touches {name}",
                )
        for wall in walls(balls, i, smallest):
            normal = np.sign(wall.level) * np.eye(3)[wall.axis]
            value = radius - abs(wall.level)
            if -smallest < value < least_depth:
                yield Feature(
                    value,
                    -smallest,
                    least_depth,
                    0,
                    (i,),
                    (normal,),
                    f"ball {i} almost touches a side",
                )


def _least_depth(curvature: Array, smallest: float) -> Array:
    """Return the depth of the smallest neck between surfaces of some relative curvature."""
    neck = np.maximum(NECK * smallest, WEDGE / curvature)
    return np.asarray(0.5 * curvature * neck**2)


class _Circle(NamedTuple):
    """A circle that a plane cuts out of a sphere: that of another ball, or a plane of the box."""

    other: int  # the ball, or below 0
    place: Array  # (3,) its centre in the image that it touches, or the normal of the plane
    size: float  # its radius, or the level of the plane

    def on(self, centre: Array, radius: float, place: Array) -> tuple[Array, float]:
        """Return normal and opening (an angle) of the circle on a sphere."""
        if self.other < 0:
            normal, offset = self.place, self.size - float(self.place @ centre)
        else:
            branch = place - centre
            apart = float(np.linalg.norm(branch))
            normal = branch / apart
            offset = (apart**2 + radius**2 - self.size**2) / (2 * apart)
        return normal, float(np.arccos(np.clip(offset / radius, -1.0, 1.0)))


def _circles(balls: Balls, ball: int, cut: list[Cap]) -> list[_Circle]:
    found = []
    centre = balls.centres[ball]
    for cap in cut:
        if cap.other < 0:
            level = float(cap.normal @ centre) + cap.offset
            found.append(_Circle(cap.other, cap.normal, level))
        else:
            shift = np.append(cap.boxes * balls.lengths, 0.0)
            place = balls.centres[cap.other] + shift
            found.append(_Circle(cap.other, place, float(balls.radii[cap.other])))
    for wall in walls(balls, ball):
        level = wall.level + float(centre[wall.axis])
        found.append(_Circle(SIDE, np.eye(3)[wall.axis], level))
    return found


def _strips(balls: Balls, ball: int, circles: list[_Circle], smallest: float) -> Iterator[Feature]:
    """Yield pairs of circles on a sphere that almost touch."""
    radius = float(balls.radii[ball])

    def distances(*drawn: tuple[Array, float]) -> tuple[float, ...]:
        (first, a), (second, b) = drawn
        angle = float(np.arccos(np.clip(first @ second, -1, 1)))
        return (
            radius * (angle - a - b),
            radius * (abs(a - b) - angle),
            radius * (a + b + angle - 2 * np.pi),
        )

    def gaps(*drawn: tuple[Array, float]) -> tuple[float, ...]:
        (first, a), (second, b) = drawn
        cosine = float(first @ second)
        sine = np.sqrt(1 - cosine**2)
        if sine < 1e-3:
            return ()
        return (radius * float((np.cos(b) - np.cos(a) * cosine) / sine - np.sin(a)),)

    for pair in combinations(circles, 2):
        yield from _small(balls, ball, pair, distances, smallest, "two circles almost touch")
    for first, second in permutations(circles, 2):
        if first.other < 0:
            both, shallow = (first, second), "a disc on the box almost reaches another plane"
            yield from _small(balls, ball, both, gaps, smallest, shallow, within=SHALLOW * smallest)


def _corners(balls: Balls, ball: int, circles: list[_Circle], smallest: float) -> Iterator[Feature]:
    """Yield points where two circles on a sphere cut each other that lie almost on a third one."""
    radius = float(balls.radii[ball])

    def distances(*drawn: tuple[Array, float]) -> tuple[float, ...]:
        (first, a), (second, b), (third, c) = drawn
        cosine = float(first @ second)
        sine = 1 - cosine**2
        if sine < 1e-9:
            return ()
        u, v = (np.cos(a) - cosine * np.cos(b)) / sine, (np.cos(b) - cosine * np.cos(a)) / sine
        rest = 1 - u * np.cos(a) - v * np.cos(b)
        if rest <= 0:  # they do not cut each other
            return ()
        middle, away = u * first + v * second, np.sqrt(rest / sine) * np.cross(first, second)
        return tuple(
            radius * (float(np.arccos(np.clip((middle + sign * away) @ third, -1, 1))) - c)
            for sign in (1, -1)
        )

    for first, second in combinations(circles, 2):
        if not distances(*(_drawn(balls, ball, c) for c in (first, second, first))):
            continue
        for third in circles:
            if third is not first and third is not second:
                three = (first, second, third)
                yield from _small(
                    balls, ball, three, distances, smallest, "three circles almost meet"
                )


def _drawn(balls: Balls, ball: int, circle: _Circle) -> tuple[Array, float]:
    return circle.on(balls.centres[ball], float(balls.radii[ball]), circle.place)


def _small(
    balls: Balls,
    ball: int,
    circles: tuple[_Circle, ...],
    distances: Callable[..., tuple[float, ...]],
    smallest: float,
    what: str,
    *,
    within: float | None = None,
) -> Iterator[Feature]:
    """Yield distances that are too small, or too little `within`; slopes are by differences."""
    low = -(smallest if within is None else within)
    centre, radius = balls.centres[ball], float(balls.radii[ball])
    values = distances(*(_drawn(balls, ball, circle) for circle in circles))
    for number, value in enumerate(values):
        if not low < value < smallest:
            continue
        others = [circle.other for circle in circles if circle.other >= 0]
        moved = (ball, *others)
        slopes = [np.zeros(3) for _ in moved]
        for k, axis in product(range(len(moved)), range(3)):
            step = DIFFERENCE * radius * np.eye(3)[axis]
            at = [circle.place for circle in circles]
            if k:
                row = [c for c, circle in enumerate(circles) if circle.other >= 0][k - 1]
                at[row] = at[row] + step
            from_here = centre if k else centre + step
            drawn = [c.on(from_here, radius, place) for c, place in zip(circles, at, strict=True)]
            if after := distances(*drawn):
                slopes[k][axis] = (after[number] - value) / (DIFFERENCE * radius)
        yield Feature(value, low, smallest, 0, moved, tuple(slopes), f"on ball {ball} {what}")
