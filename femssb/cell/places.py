"""What a user gives of a surface by place: the share of it that reacts, and cracks at the start."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.cell.bodies import Bodies
from femssb.cell.surfaces import Prescribed
from femssb.environment.ranks import together
from femssb.errors import FemssbError, InputError, shown
from femssb.inputs.boundary import Place
from femssb.inputs.case import function_name
from femssb.inputs.interfaces import CohesiveLaw

_DIGITS = 9  # of what is kept of a function: ranks sum in another order

Given = Mapping[str, float | Place]


def shares(bodies: Bodies, given: Given) -> dict[str, Array]:
    """Return the share of the area that reacts at the points of surfaces; collective.

    Raises:
        InputError: If nothing passes a surface, or a share is no number in [0, 1]; on every rank.
    """
    able = [
        surface.name
        for surface in bodies.surfaces
        if any(not isinstance(law, Prescribed) for law in surface.currents)
    ]
    return _at_points(bodies, "coverage", given, able, "through which a current passes")


def cracked(bodies: Bodies, given: Given) -> tuple[Array, Array] | None:
    """Return damage and spent share of the cohesive points at the start, (n,) each; collective.

    Raises:
        InputError: If a surface cannot be damaged, or a share is no number in [0, 1]; on every
            rank.
    """
    if not given:
        return None
    spent = _at_points(bodies, "damage", given, list(bodies.cohesive), "that can come apart")
    damage = {}
    for name, law in bodies.cohesive.items():
        share = spent.setdefault(name, np.zeros(bodies.points[name].weights.size))
        damage[name] = _damage(law, share)
        partly = (share > 0.0) & (share < 1.0)
        if not law.breakable and bodies.comm.allreduce(int(partly.any())):
            raise InputError(
                f"Model.damage[{name!r}] must be 0 or 1: that surface never breaks, so no part of "
                "its fracture energy can be spent"
            )
    return np.concatenate([damage[n] for n in damage]), np.concatenate([spent[n] for n in damage])


def described(bodies: Bodies, given: Given) -> dict[str, Any]:
    """Return what was given as plain data, with means that tell functions apart; collective."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if not callable(value):
            found[name] = value
            continue
        points, area = bodies.points[name], bodies.area(name)
        values = np.asarray(value(points.points.copy()), float)
        reach = bodies.period[1] - bodies.period[0]
        place = (points.points - bodies.period[0]) / reach
        moments = [bodies.sum(points.weights * values * p) / area for p in (1.0, *place.T)]
        found[name] = {
            "function": function_name(value),
            "moments": [round(moment, _DIGITS) for moment in moments],
        }
    return found


def _damage(law: CohesiveLaw, spent: Array) -> Array:
    """Return the loss of stiffness behind a share of the fracture energy spent in opening."""
    if not law.breakable:
        return spent
    strength, energy = law.normal_strength, law.normal_fracture_energy
    if strength == np.inf:  # it only slides
        strength, energy = law.shear_strength, law.shear_fracture_energy
    stored = strength**2 / (2 * law.stiffness) / energy  # at onset
    return np.asarray(spent / (spent + (1.0 - spent) * stored))


def _at_points(
    bodies: Bodies, field: str, given: Given, able: list[str], what: str
) -> dict[str, Array]:
    """Return what was given at the points of each surface; collective."""
    for name in given:
        if name not in able:
            raise InputError(
                f"Model.{field} names {shown(name)}, which is none of the surfaces {what}: {able}"
            )
    found = {}
    for name, value in given.items():
        points = bodies.points[name].points

        def work(value: Any = value, name: str = name, points: Array = points) -> Array:
            owner = f"Model.{field}[{name!r}]"
            try:
                values = np.asarray(value(points.copy()) if callable(value) else value)
            except FemssbError:
                raise
            except Exception as error:
                raise InputError(f"{owner} fails on points (n, 3): {error}") from error
            if values.dtype.kind not in "fiub" or values.shape not in ((), (len(points),)):
                raise InputError(
                    f"{owner} must give a number for each of {len(points)} points, got "
                    f"{values.dtype} of shape {values.shape}"
                )
            values = np.broadcast_to(values.astype(float), (len(points),))
            if not ((values >= 0.0) & (values <= 1.0)).all():
                raise InputError(
                    f"{owner} must lie in [0, 1], got values from {values.min():g} to "
                    f"{values.max():g}"
                )
            return values

        found[name] = together(bodies.comm, work)
    return found
