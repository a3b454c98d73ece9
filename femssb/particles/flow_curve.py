"""Flow curves: measured points of shear stress against shear rate, and what is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError
from femssb.packing.packing import Packing
from femssb.particles.calibration import MasterCurve
from femssb.particles.flow_laws import (
    Carreau,
    HerschelBulkley,
    fit_carreau,
    fit_herschel_bulkley,
)

LEAST_STRAIN = 2.0  # of a point
LARGEST_ERROR = 0.05  # of a point, relative
SAME = 1e-6  # relative difference of the densities of one slurry
AGREEING = 2.0  # standard errors by which the halves of a point may differ


@description
class FlowPoint:
    """Stress of a slurry in steady shear at one rate.

    Raises:
        InputError: If a field is out of its bounds: less strain, a larger error or halves that
            differ by more than a point may have; stress that is not above 0.
    """

    rate: float = field("of the shear", unit="1/s", above=0)
    stress: float = field("shear stress, mean over the strain", unit="Pa", above=0)
    error: float = field("standard error of the stress, by blocks", unit="Pa", lower=0)
    strain: float = field("over which was averaged", lower=LEAST_STRAIN)
    start: float = field("strain before that, in which the flow became steady", lower=1)
    halves: tuple[float, float] = field("stress in both halves of the strain", unit="Pa")
    halves_error: float = field("standard error of their difference", unit="Pa", lower=0)
    pressure: float = field("that the beads carry, positive compresses", unit="Pa")
    pressure_error: float = field("standard error of the pressure", unit="Pa", lower=0)
    normal_differences: tuple[float, float] = field(
        "xx - yy and yy - zz of the stress, tension positive", unit="Pa"
    )
    inertia: float = field(
        "rate sqrt(sum(m d^2) / (V p)), p the larger of pressure and stress, m as scaled", lower=0
    )
    mass_scaling: float = field("masses over the true ones", above=0)
    motion: float = field("share of the stress that momentum carries, not forces")
    steps: int = field("of the motion, the start included", lower=1)
    time_step: float = field("of the motion", unit="s", above=0)
    cpu_time: float = field("that they took, all ranks together", unit="s", lower=0)

    def __post_init__(self) -> None:
        if self.error > LARGEST_ERROR * self.stress:
            raise InputError(
                f"FlowPoint.error = {self.error:g} Pa is above {LARGEST_ERROR:g} of the stress, "
                f"{self.stress:g} Pa"
            )
        first, second = self.halves
        if abs(first - second) > AGREEING * self.halves_error:
            raise InputError(
                f"FlowPoint.halves = {self.halves} Pa differ by more than {AGREEING:g} of their "
                f"errors, {self.halves_error:g} Pa"
            )

    @property
    def viscosity(self) -> float:
        """Stress over rate [Pa s]."""
        return self.stress / self.rate

    @property
    def viscosity_error(self) -> float:
        """Standard error of the viscosity [Pa s]."""
        return self.error / self.rate


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class FlowCurve:
    """Points of a slurry at several shear rates.

    Attributes:
        points: In the order of their rates, no rate twice.

    Raises:
        InputError: If there is no point, or two have the same rate.
    """

    points: tuple[FlowPoint, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.points, key=lambda point: point.rate))
        rates = [point.rate for point in ordered]
        if not rates or len(set(rates)) < len(rates):
            raise InputError(f"FlowCurve: points at rates that differ are needed, got {rates} 1/s")
        object.__setattr__(self, "points", ordered)

    @property
    def rates(self) -> Array:
        """Shear rates, shape (n,) [1/s]."""
        return np.array([point.rate for point in self.points])

    @property
    def stresses(self) -> Array:
        """Shear stresses, shape (n,) [Pa]."""
        return np.array([point.stress for point in self.points])

    @property
    def errors(self) -> Array:
        """Standard errors of the stresses, shape (n,) [Pa]."""
        return np.array([point.error for point in self.points])

    @property
    def viscosities(self) -> Array:
        """Stresses over rates, shape (n,) [Pa s]."""
        return self.stresses / self.rates

    @property
    def pressures(self) -> Array:
        """Pressures that the beads carry, shape (n,) [Pa]."""
        return np.array([point.pressure for point in self.points])

    @property
    def master(self) -> MasterCurve:
        """The points as a master curve; there must be three."""
        return MasterCurve(rates=self.rates, stresses=self.stresses, errors=self.errors)

    @checked
    def herschel_bulkley(self, *, confidence: float = 0.95) -> HerschelBulkley:
        """Return the fit of Herschel and Bulkley; see `fit_herschel_bulkley`.

        Raises:
            InputError: If there are less than four points.
        """
        return fit_herschel_bulkley(self.rates, self.stresses, self.errors, confidence=confidence)

    @checked
    def carreau(self, *, confidence: float = 0.95) -> Carreau:
        """Return the fit of Carreau; see `fit_carreau`.

        Raises:
            InputError: If there are less than five points.
        """
        errors = self.errors / self.rates
        return fit_carreau(self.rates, self.viscosities, errors, confidence=confidence)

    @checked
    def yield_stress(self, *, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval of the yield stress [Pa].

        From four points on that of the fit; before, from 0 to the smallest stress that flowed, with
        twice its error: the slurry yielded there.
        """
        if len(self.points) >= 4:
            return self.herschel_bulkley(confidence=confidence).yield_interval
        return 0.0, float(np.min(self.stresses + 2 * self.errors))

    def __str__(self) -> str:
        """Return the points and the yield stress as lines of text."""
        lines = [
            "rate [1/s]  viscosity [Pa s]      stress [Pa]  bead pressure [Pa]  strain  inertia  "
            "masses x  CPU [s]"
        ]
        lines += [
            f"{p.rate:10.4g}  {p.viscosity:8.4g} +- {p.viscosity_error:6.2g}  {p.stress:12.4g}  "
            f"{p.pressure:9.4g} +- {p.pressure_error:5.1g}  {p.strain:6.2f}  {p.inertia:7.4f}  "
            f"{p.mass_scaling:8.3g}  {p.cpu_time:7.1f}"
            for p in self.points
        ]
        low, high = self.yield_stress()
        return "\n".join([*lines, f"yield stress {low:.3g} to {high:.3g} Pa (95 %)"])


@checked
def flow_curve(packing: Packing) -> FlowCurve:
    """Return the flow curve that the shears behind a packing measured.

    Args:
        packing: After one or more `Shear` stages of `process`.

    Raises:
        InputError: If no shear is behind it, two were at the same rate, by other forces or of
            another density, or a report is damaged.
    """
    stages = packing.origin.get("stages")
    reports = [r for r in stages if isinstance(r, Mapping)] if isinstance(stages, list) else []
    shears = [r for r in reports if isinstance(r.get("flow"), Mapping)]
    if not shears:
        raise InputError("flow_curve: the packing was not sheared")
    if len({r["forces"] for r in shears if "forces" in r}) > 1:
        raise InputError("flow_curve: the packing was sheared by different forces")
    densities = [r["density [kg/m3]"] for r in shears if "density [kg/m3]" in r]
    if densities and max(densities) > (1 + SAME) * min(densities):
        raise InputError(
            f"flow_curve: the packing was sheared at different densities, {densities} kg/m3"
        )
    return FlowCurve(points=tuple(_point(report["flow"]) for report in shears))


def _point(report: Mapping[str, Any]) -> FlowPoint:
    try:
        return FlowPoint(**report)
    except TypeError as error:
        raise InputError(f"flow_curve: a report of a shear is damaged: {error}") from error
