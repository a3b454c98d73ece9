"""Structural parameters of beads for wanted densities and porosities, by Bayesian optimisation.

Strengths of forces follow from a flow curve without more runs (`femssb.particles.calibration`);
sizes do not: every trial is a slurry, dried. So a Gaussian process of the misfit chooses the next
trial where an improvement is expected most, after a first design that fills the bounds evenly.

Needs the package bayesian-optimization, by the extra `calibration`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.environment.packages import load
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import InputError, NotConverged, check_number, shown
from femssb.inputs.beads import BeadForces, ForceField
from femssb.packing.formulation import Formulation, disperse
from femssb.packing.recipe import check_seed
from femssb.packing.sizes import ListedSizes, LognormalSizes, Sizes
from femssb.particles.drying import Drying
from femssb.particles.processing import density, porosity, process
from femssb.particles.slurry import Slurry

type Measure = Callable[[Mapping[str, float], Path | None], Mapping[str, float]]

NOISE = 1e-2  # variance of a misfit over that of all trials: other seeds give other structures
LEAST_GAIN = 0.01  # of the misfit that is worth a trial, over its deviation
FAILED = 2.0  # misfit of a trial that found no plateau, over the worst one that did
MOST_TRIALS = 1000


@description
class Aim:
    """A number that is wanted, and what it may be wrong by."""

    value: float = field("wanted", lower=-1e30, upper=1e30)
    error: float = field("by which it may be off: a misfit of 1", above=0, upper=1e30)


@description
class Structure:
    """What is measured in a trial: a slurry under a pressure, then dried.

    Called with any of the parameters

    - ``"enlargement"``: diameter of all beads but those of the binder in potentials and contacts
      over the true one, in both states [-];
    - ``"binder diameter"``: of a bead of binder in the slurry [m];
    - ``"median"``: diameter of the beads of `phase` [m];

    it returns ``"slurry density"``, ``"dried density"`` [kg/m3] and ``"dried porosity"`` [-].
    """

    formulation: Formulation = field("where the parameters do not say otherwise")
    forces: ForceField = field("likewise")
    pressure: float = field("on the beads", unit="Pa", lower=1e-3, upper=1e9, default=100e3)
    phase: str = field("whose median is a parameter", default="SE")
    seed: int = field("of the places of the beads", lower=0, upper=2**32 - 1, default=1)
    tolerance: float = field("of the plateaus of density", above=0, upper=0.05, default=5e-3)

    @checked
    def __call__(
        self, parameters: Mapping[str, float], out: Path | None = None
    ) -> dict[str, float]:
        """Return the measured numbers; a folder keeps the stages.

        Raises:
            InputError: If a parameter is unknown or out of its bounds.
            NotConverged: If a stage finds no plateau.
        """
        formulation, forces = self.changed(parameters)
        stages = [
            Slurry(pressure=self.pressure, tolerance=self.tolerance),
            Drying(pressure=self.pressure, tolerance=self.tolerance),
        ]
        start = disperse(formulation, seed=self.seed)
        slurry, dried = process(start, stages, formulation, forces, out=out, progress=False)
        return {
            "slurry density": density(slurry),
            "dried density": density(dried),
            "dried porosity": porosity(dried, formulation),
        }

    @checked
    def changed(self, parameters: Mapping[str, float]) -> tuple[Formulation, ForceField]:
        """Return formulation and forces with some parameters.

        Raises:
            InputError: If a parameter is unknown or out of its bounds.
        """
        formulation, forces = self.formulation, self.forces
        for name, value in parameters.items():
            if name == "enlargement":
                forces = ForceField(
                    slurry=self._enlarged(forces.slurry, value),
                    dried=self._enlarged(forces.dried, value),
                )
            elif name == "binder diameter":
                sizes = self._component(formulation.binder).sizes.listed()
                dry = float(np.average(sizes.diameters, weights=sizes.numbers))
                formulation = replace(formulation, swelling=value / dry)
            elif name == "median":
                own = self._component(self.phase)
                scaled = replace(own, sizes=_with_median(own.sizes, value))
                components = [scaled if c is own else c for c in self.formulation.components]
                formulation = replace(formulation, components=tuple(components))
            else:
                known = ["enlargement", "binder diameter", "median"]
                raise InputError(f"Structure: {shown(name)} is none of its parameters {known}")
        return formulation, forces

    def _component(self, name: str) -> Any:
        for component in self.formulation.components:
            if component.name == name:
                return component
        raise InputError(f"Structure.phase = {name!r} is none of {list(self.formulation.names)}")

    def _enlarged(self, forces: BeadForces, factor: float) -> BeadForces:
        beads = {
            phase: bead
            if phase == self.formulation.binder
            else replace(bead, enlargement=factor, contact_enlargement=factor)
            for phase, bead in forces.beads.items()
        }
        return replace(forces, beads=beads)


def _with_median(sizes: Sizes, median: float) -> Sizes:
    """Return a distribution with another median: its ends stay if it has any."""
    if isinstance(sizes, LognormalSizes):
        return replace(sizes, median=median)
    listed = sizes.listed()
    factor = median / float(sizes.quantile(np.array(0.5)))
    return ListedSizes(
        diameters=tuple(factor * d for d in listed.diameters), numbers=listed.numbers
    )


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """The best of some trials.

    Attributes:
        parameters: Of the best trial, by name.
        numbers: That it measured, by name.
        misfit: Root mean square of (number - value) / error over the aims: below 1 where all aims
            are met.
        trials: Parameters, numbers and misfit of all, in their order; without numbers and with an
            infinite misfit where a trial found no plateau.
    """

    parameters: Mapping[str, float]
    numbers: Mapping[str, float]
    misfit: float
    trials: tuple[tuple[Mapping[str, float], Mapping[str, float], float], ...]


@checked
def tune(
    measure: Measure,
    bounds: Mapping[str, tuple[float, float]],
    aims: Mapping[str, Aim],
    *,
    trials: int = 16,
    seed: int = 1,
    out: str | Path | None = None,
    progress: bool = True,
) -> Tuned:
    """Find parameters within bounds whose measured numbers are nearest to some aims.

    It ends early where all aims are met. With a folder, a second call with the same arguments takes
    from there what it holds.

    Args:
        measure: Returns numbers by name for parameters by name and a folder: a `Structure`, or any
            function; the same on all ranks.
        bounds: Lowest and highest value of every parameter, by name.
        aims: By the name of the number.
        trials: At most.
        seed: Of the choice of trials.
        out: Folder for those of the trials, ``trial_01`` and so on.
        progress: Whether rank 0 shows a line for every trial.

    Raises:
        InputError: If bounds are no bounds, there is no aim or an aim is not measured.
        EngineError: If bayesian-optimization is missing.
        NotConverged: If no trial came to an end.
    """
    check_seed("tune", seed)
    check_number("tune", "trials", trials, lower=1, upper=MOST_TRIALS)
    if not bounds or not aims:
        raise InputError("tune: bounds and aims must name a parameter and a number at least")
    for name, (low, high) in bounds.items():
        if not -np.inf < low < high < np.inf:
            raise InputError(f"tune.bounds[{name!r}] = {(low, high)} must rise")
    package = load("bayes_opt", extra="calibration")
    comm = communicator(None)
    show = progress_lines(progress and comm.rank == 0)
    search = _Search(package, list(bounds), seed)
    done: list[tuple[dict[str, float], dict[str, float], float]] = []
    failure: NotConverged | None = None
    for number in range(1, trials + 1):
        place = from_first_rank(comm, lambda: search.next(done))
        parameters = {
            name: low + share * (high - low)
            for share, (name, (low, high)) in zip(place, bounds.items(), strict=True)
        }
        folder = None if out is None else Path(out) / f"trial_{number:02d}"
        try:
            found = {name: float(value) for name, value in measure(parameters, folder).items()}
        except NotConverged as error:
            failure = error
            done.append((parameters, {}, np.inf))
        else:
            done.append((parameters, found, _misfit(found, aims)))
        search.places.append(place)
        show(f"{number}/{trials}  misfit {done[-1][2]:.3g}  {_listed(parameters | done[-1][1])}")
        if done[-1][2] < 1 and _met(done[-1][1], aims):
            break
    parameters, found, misfit = min(done, key=lambda trial: trial[2])
    if not found:
        raise NotConverged(f"tune: none of {trials} trials came to an end") from failure
    return Tuned(parameters=parameters, numbers=found, misfit=misfit, trials=tuple(done))


class _Search:
    """Where to look next, in the unit cube of all parameters."""

    def __init__(self, package: Any, names: list[str], seed: int) -> None:
        self.places: list[list[float]] = []
        self._package, self._names, self._seed = package, names, seed
        first = 2 * len(names) + 2
        self._first = qmc.Sobol(len(names), rng=seed).random_base2(int(np.ceil(np.log2(first))))

    def next(self, done: list[tuple[Any, Any, float]]) -> list[float]:
        """Return the place of the next trial, given those done."""
        if len(done) < len(self._first):
            return list(map(float, self._first[len(done)]))
        optimizer = self._package.BayesianOptimization(
            f=None,
            pbounds=dict.fromkeys(self._names, (0.0, 1.0)),
            acquisition_function=self._package.acquisition.ExpectedImprovement(xi=LEAST_GAIN),
            random_state=self._seed + len(done),
            verbose=0,
            allow_duplicate_points=True,
        )
        optimizer.set_gp_params(alpha=NOISE)
        misfits = np.array([misfit for *_, misfit in done])
        worst = np.max(misfits[np.isfinite(misfits)], initial=1.0)
        for place, misfit in zip(self.places, misfits, strict=True):
            point = dict(zip(self._names, place, strict=True))
            optimizer.register(point, -min(float(misfit), FAILED * float(worst)))
        found = optimizer.suggest()
        return [float(found[name]) for name in self._names]


def _misfit(found: Mapping[str, float], aims: Mapping[str, Aim]) -> float:
    for name in aims:
        if name not in found:
            raise InputError(f"tune: aim {name!r} is none of what is measured: {list(found)}")
    return float(np.sqrt(np.mean(_deviations(found, aims) ** 2)))


def _met(found: Mapping[str, float], aims: Mapping[str, Aim]) -> bool:
    return bool(np.all(np.abs(_deviations(found, aims)) <= 1))


def _deviations(found: Mapping[str, float], aims: Mapping[str, Aim]) -> Array:
    return np.array([(found[name] - aim.value) / aim.error for name, aim in aims.items()])


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
