"""The discretisation error of the numbers of a half-cell run, estimated by coarser runs.

Besides the run itself there are two on coarser meshes, each coarser by the same factor, and one on
the coarsest mesh with larger time steps. With r the factor and d the difference from mesh to mesh,
the error of the finest is d/(r^p - 1). The order p is read off the differences where they fall from
coarse to fine, between 1 and 2; else, and for largest values and quantiles, it is taken as 1. A
small difference on the finer pair does not count for more than that of the coarser pair would by
second order: numbers of unstructured meshes scatter, and two may agree by chance.

The safety factor was chosen on one cycle at 1C: of its 40 numbers, a run on a mesh 1.8 times as
fine, with steps half as long, has 39 within their errors, and 37 with the factor 1.25 of Roache.
Other cases have not been held against finer runs.

Source: Roache 1994, doi:10.1115/1.2910291, for estimates from three grids; Eca and Hoekstra 2014,
doi:10.1016/j.jcp.2014.01.006, for their safety where values scatter.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from femssb.description import checked
from femssb.environment.files import given_path
from femssb.errors import FemssbError, InputError, check_number
from femssb.results.quantities import CYCLE
from femssb.studies.cache import Cache
from femssb.studies.half_cell import HalfCellRun
from femssb.studies.runner import run

LARGER_STEPS = 2.0  # of the coarsest run; their errors are of second order
SAFETY = 1.5  # see above
# Words in the keys of numbers that hang on few places of the mesh: they converge no faster than
# what is constant in each cell.
LOCAL = {"max", "p01", "p99", "p001", "p999"}
MESH_DEPENDENT = "mesh-dependent"  # in the meaning of a number that does not converge at all


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number and how far it may be from that of an infinitely fine mesh and time step.

    Attributes:
        value: The number, of the finest run.
        mesh: Error of the mesh, estimated.
        steps: Error of the time steps, estimated.
    """

    value: float
    mesh: float
    steps: float

    @property
    def error(self) -> float:
        """Both errors together."""
        return self.mesh + self.steps

    def __str__(self) -> str:
        """Return the value, plus or minus the error."""
        return f"{self.value:.6g} +- {self.error:.2g}"


@checked
def convergence(
    case: HalfCellRun,
    *,
    out: str | os.PathLike[str],
    coarsening: float = 1.3,
    jobs: int = 1,
) -> dict[str, Estimate]:
    """Return the numbers of the cycle of a run, each with its discretisation error; collective.

    Runs the case, and coarser ones by its side, which together cost about as much as it does; those
    that are finished are not run again.

    Args:
        case: The run.
        out: Folder of the runs, a `Cache`.
        coarsening: Size of the elements of each mesh over that of the next finer one.
        jobs: Number of runs at the same time.

    Returns:
        Key of `CYCLE` -> number and error, of those that all runs have. What is said there to
        depend on the mesh is left out.

    Raises:
        InputError: If the factor is out of its bounds.
        FemssbError: If one of the runs fails.
    """
    check_number("convergence", "coarsening", coarsening, lower=1.1, upper=2)
    cache = Cache(given_path("convergence", "out", out))
    meshes = [
        replace(case, name=f"{case.name}, {k} coarser" if k else case.name, size=size)
        for k, size in enumerate(case.size * coarsening**k for k in range(3))
    ]
    larger = replace(meshes[-1], name=f"{case.name}, larger steps", stepping=_larger(case))
    failures = run([*meshes, larger], cache, jobs=jobs)
    if failures:
        raise FemssbError("; ".join(failures))
    found = cache.results([*meshes, larger])
    numbers: list[Mapping[str, Any]] = [found[one.name].summary for one in (*meshes, larger)]
    return {
        key: estimate(
            [of[key] for of in numbers], coarsening, local=bool(LOCAL & {*key.split("_")})
        )
        for key, meaning in CYCLE.items()
        if MESH_DEPENDENT not in meaning and all(isinstance(of[key], float) for of in numbers)
    }


@checked
def estimate(values: Sequence[float], coarsening: float, *, local: bool = False) -> Estimate:
    """Return a number and its error, from four runs.

    Args:
        values: On the finest mesh, on the two coarser ones, and on the coarsest with larger steps.
        coarsening: Size of the elements of each mesh over that of the next finer one, above 1.
        local: Whether the number hangs on few places, so that it is of first order.

    Raises:
        InputError: If there are not four values, or the factor is not above 1.
    """
    check_number("estimate", "coarsening", coarsening, above=1, upper=10)
    if len(values) != 4:
        raise InputError(f"estimate.values must be four numbers, got {len(values)}")
    fine, middle, coarse, larger = values
    near, far = middle - fine, coarse - middle
    order = 1.0
    if near * far > 0 and not local:
        order = min(max(math.log(far / near) / math.log(coarsening), 1.0), 2.0)
    difference = max(abs(near), abs(far) / coarsening**2)
    return Estimate(
        value=fine,
        mesh=SAFETY * difference / (coarsening**order - 1),
        steps=SAFETY * abs(larger - coarse) / (LARGER_STEPS**2 - 1),
    )


def _larger(case: HalfCellRun) -> Any:
    """Return how larger time steps are chosen: their errors grow with the third power."""
    known = case.stepping
    errors = {
        name: min(getattr(known, name) * LARGER_STEPS**3, 0.4)
        for name in ("stoichiometry_error", "voltage_error", "current_error")
    }
    sizes = {name: getattr(known, name) * LARGER_STEPS for name in ("first", "largest")}
    return replace(known, **errors, **sizes)
