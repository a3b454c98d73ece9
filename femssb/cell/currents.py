"""Currents through the surfaces of a cell, and what becomes of the power that they carry.

All are read off a state: the unknowns of the electrochemical problem, the gap (n,) at the cohesive
points [m], and the modes (n, modes) of the boundary layer there.
"""

from dataclasses import asdict, dataclass, fields

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np

from femssb.arrays import Array
from femssb.cell.electrochemical_problem import ElectrochemicalProblem
from femssb.cell.kinetics import InsertionCurrent
from femssb.cell.passages import Passage
from femssb.cell.surfaces import CONTACT, Insertion, Metal, Ohmic, Wetted, joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Powers:
    """What becomes of the power that a charge puts in, voltage times current: their sum [W]."""

    reversible: float  # open-circuit voltage at the mean lithium, times the current
    # What is lost, positive for heat:
    electronic: float  # to the resistance to electrons
    ionic: float  # to that to ions
    activation: float  # to the reaction at the particles
    contact: float  # to the contact resistance there, of particles, and at the collector
    concentration: float  # as lithium at the surface differs from its mean
    anode: float  # to the reaction of the metal


class Currents:
    """The currents through the surfaces of a cell."""

    def __init__(self, problem: ElectrochemicalProblem) -> None:
        """Read the currents of a problem."""
        self._problem, self._bodies = problem, problem.bodies

    def insertion(self, x: PETSc.Vec, gap: Array, layer: Array) -> InsertionCurrent:
        """Return the kinetics at the `Bodies.outside` surfaces; collective.

        All is zero where nothing is inserted.
        """
        points, outside = self._bodies.points, self._bodies.outside
        found = {
            name: {
                one.name: np.zeros(points[name].weights.size) for one in fields(InsertionCurrent)
            }
            for name in outside
        }
        for one, weights, seen, gaps in self._reactions(x, gap, layer):
            if isinstance(one.law, Insertion) and one.surface in found:
                for key, value in asdict(one.law.current(seen, gaps)).items():
                    found[one.surface][key][one.at] = value * (weights > 0)
        return joined([InsertionCurrent(**found[name]) for name in outside])

    def inserted(self, x: PETSc.Vec, gap: Array, layer: Array) -> Array:
        """Return the current of insertion at the cohesive points (n,) [A/m2]; collective."""
        reactions = self._reactions(x, gap, layer)
        return self._problem.passages.inserted(
            self._problem.problem.operators,
            [one.law.response(seen, gaps) for one, _, seen, gaps in reactions],
        )

    def contact(self, x: PETSc.Vec, gap: Array, layer: Array) -> Array:
        """Return the current of electrons at points of contacts of particles [A/m2]; collective.

        It is positive out of the minus side, and zero where particles do not conduct.
        """
        found = np.zeros(self._bodies.points[CONTACT].weights.size)
        for one, _, *at in self._reactions(x, gap, layer):
            if one.surface == CONTACT and isinstance(one.law, Ohmic):
                found = one.law.response(*at)[0][:, 0]
        return found

    def cell(self, x: PETSc.Vec, gap: Array, layer: Array) -> float:
        """Return the charging current that leaves the particles [A]; collective."""
        return self._carried(Insertion, x, gap, layer)

    def crack(self, x: PETSc.Vec, gap: Array, layer: Array) -> float:
        """Return the part of it that leaves the faces of cracks [A]; collective."""
        return self._carried(Wetted, x, gap, layer)

    def anode(self, x: PETSc.Vec) -> float:
        """Return the charging current that the lithium anode carries [A]; collective."""
        closed, at_rest = np.zeros(self._bodies.weights.size), self._problem.layer.at_rest()
        return -self._carried(Metal, x, closed, at_rest)

    def wetted_area(self, gap: Array) -> float:
        """Return the area of the grain boundaries that electrolyte has entered [m2]; collective."""
        gaps, problem = self._bodies.split(gap), self._problem
        return sum(
            self._bodies.sum(operator.weights * one.law.covered(gaps[one.surface][one.at]))
            for one, operator in zip(problem.passages.laws, problem.problem.operators, strict=False)
            if isinstance(one.law, Wetted) and one.law.side == "minus"
        )

    def overdrawn(self, x: PETSc.Vec, gap: Array, layer: Array) -> float:
        """Return how far lithium is below 0 where it is taken, or above 1 where it is put.

        It is the mean stoichiometry beyond, over the points where lithium is inserted, weighted by
        the current there [-]; no current, nothing overdrawn; collective.
        """
        excess = carried = 0.0
        for one, weights, values, gaps in self._reactions(x, gap, layer):
            if isinstance(one.law, Insertion):
                current = weights * one.law.current(values, gaps).current
                filled = values[:, 0]
                beyond = np.maximum(np.where(current > 0.0, -filled, filled - 1.0), 0.0)
                excess += self._bodies.sum(np.abs(current) * beyond)
                carried += self._bodies.sum(np.abs(current))
        return excess / max(carried, 1e-6 * self._problem.one_c)

    def powers(self, x: PETSc.Vec, gap: Array, layer: Array) -> Powers:
        """Return where the power of a charge goes; exact in a solved state; collective.

        Multiply the residual of ions and electrons by their potentials and sum: what conducts
        dissipates, and each law of a surface its current times the potential difference.
        """
        ionic, electronic = self._problem.conducted(x)
        found = dict.fromkeys(("reversible", "activation", "contact", "concentration"), 0.0)
        anode = 0.0
        for one, weights, values, gaps in self._reactions(x, gap, layer):
            law = one.law
            if isinstance(law, Metal):
                current = law.response(values, gaps)[0][:, 0]
                anode += self._bodies.sum(weights * current * values[:, 0])
            if isinstance(law, Ohmic):
                current = law.response(values, gaps)[0][:, 0]
                found["contact"] += self._bodies.sum(weights * current * values[:, 0])
            if not isinstance(law, Insertion):
                continue
            kinetics, curve = law.current(values, gaps), law.active.open_circuit_voltage
            carried = weights * kinetics.current
            at_rest = self._problem.voltage_at_mean(x, law.active)
            over = curve.value(values[:, 0] * law.active.maximum_concentration) - at_rest
            # The overpotential is found to a tolerance; what is left of the difference is exact.
            left = values[:, 1] - at_rest - over - kinetics.drop
            for name, voltage in (
                ("reversible", at_rest),
                ("activation", left),
                ("contact", kinetics.drop),
                ("concentration", over),
            ):
                found[name] += self._bodies.sum(carried * voltage)
        return Powers(ionic=ionic, electronic=electronic, anode=anode, **found)

    def _carried(self, kind: type, x: PETSc.Vec, gap: Array, layer: Array) -> float:
        """Return the current through all surfaces with a kind of law [A]."""
        return sum(
            self._bodies.sum(weights * one.law.response(seen, gaps)[0][:, 0])
            for one, weights, seen, gaps in self._reactions(x, gap, layer)
            if isinstance(one.law, kind)
        )

    def _reactions(
        self, x: PETSc.Vec, gap: Array, layer: Array
    ) -> list[tuple[Passage, Array, Array, Array]]:
        """Return areas, values and gap of each current through a surface."""
        gaps, beyond = self._bodies.split(gap), self._bodies.split(layer.sum(axis=1))
        problem, laws, found = self._problem.problem, self._problem.passages.laws, []
        rows = zip(laws, problem.operators, problem.at_points(x), strict=False)
        for one, operator, values in rows:  # then terminals and edges
            if isinstance(one.law, Insertion):
                values[:, 0] += beyond[one.surface][one.at]
            found.append((one, operator.weights, values, gaps[one.surface][one.at]))
        return found
