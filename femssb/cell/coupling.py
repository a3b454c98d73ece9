"""One implicit time step of the coupled problem.

Electrochemistry and mechanics are solved in turn. What passes between them is the *exchange*: the
gap at the cohesive points and what the stress releases with lithium at the particle nodes. The step
is a fixed point of the exchange; Anderson's method finds it, also where plain iteration would
diverge.

Source: Walker and Ni 2011, doi:10.1137/10078356X, for Anderson's method.
"""

from collections import Counter
from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from femssb.arrays import Array
from femssb.cell.cohesion import Cohesion
from femssb.cell.model import Model, State
from femssb.cell.surfaces import GRAIN_BOUNDARY
from femssb.description import description, field
from femssb.environment.ranks import together
from femssb.errors import NotConverged
from femssb.fem import newton
from femssb.inputs.materials import ActiveMaterial
from femssb.units import GAS_CONSTANT

# Lithium that follows the stress at once is known no better than it, and a guess that is a parabola
# through three such states is eight times worse. With this factor on the stress that is less than
# `Stepping.stoichiometry_error`: beyond, no shorter step would lead.
_STRICTER = 24.0


@description
class Tolerances:
    """When a time step counts as solved, and when as failed."""

    current: float = field(
        "sum of absolute current residuals over the 1C current", above=0, below=0.1, default=1e-9
    )
    force: float = field(
        "sum of absolute force residuals over the sum of absolute forces",
        above=0,
        below=0.1,
        default=1e-6,
    )
    exchange: float = field(
        "rms change of gap/decay length and of what the stress releases with lithium over RT",
        above=0,
        below=0.1,
        default=1e-3,
    )
    maximum_passes: int = field("of the two problems in one step", lower=2, upper=1000, default=30)
    maximum_newton: int = field(
        "Newton iterations of one problem in one pass", lower=1, upper=1000, default=100
    )
    patience: int = field(
        "Newton iterations in which the smallest residual must halve",
        lower=1,
        upper=1000,
        default=30,
    )

    @property
    def limits(self) -> newton.Limits:
        """When Newton's method gives up."""
        return newton.Limits(iterations=self.maximum_newton, patience=self.patience)


@dataclass(frozen=True, kw_only=True)
class Work:
    """The effort of a time step."""

    passes: int = 0  # of the two problems
    newton_electrochemistry: int = 0
    newton_mechanics: int = 0
    linear_electrochemistry: int = 0
    linear_mechanics: int = 0


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The starting point of a time step."""

    electrochemical: Array  # local unknowns
    mechanical: Array  # local unknowns
    gap: Array  # (n,) at the cohesive points [m]
    pull: Array  # (nodes with ghosts,) that the stress releases with lithium [J/mol]


def advance(
    model: Model,
    previous: State,
    guess: Guess,
    *,
    time_step: float,
    rate: float,
    history: Array,
    continued: bool,
    current: float | None = None,
    voltage: float | None = None,
    power: float = 0.0,
    conductance: float = 0.0,
    tolerances: Tolerances,
) -> tuple[State, Work]:
    """Take one implicit time step; collective.

    Args:
        model: The discretised half-cell.
        previous: State at the start of the step.
        guess: Where to start; does not change the result beyond the tolerances.
        time_step: [s].
        rate: Factor of the new stoichiometry in its time derivative [1/s].
        history: (owned nodes,) the rest of that derivative [1/s].
        continued: Whether the step goes on with the load of the one before.
        current: Charging current to impose [A]; exactly one of current and voltage is given.
        voltage: Cell voltage to hold [V].
        power: Of a consumer, whose current is taken off the charging current [W].
        conductance: Of a resistance between the terminals, likewise [S].
        tolerances: When the step counts as solved.

    Raises:
        NotConverged: If either problem or their exchange does not converge.
    """
    electrochemistry, mechanics, bodies = model.electrochemistry, model.mechanics, model.bodies
    electrochemical = electrochemistry.unknowns.filled(guess.electrochemical)
    mechanical = mechanics.unknowns.filled(guess.mechanical)
    before = model.electrochemical(previous)
    deepening = together(
        model.comm,
        lambda: electrochemistry.layer.deepening(
            previous.layer,
            time_step,
            electrochemistry.stoichiometry(before),
            model.currents.inserted(before, previous.gap, previous.layer) if continued else None,
        ),
    )
    exchange = _Exchange(model, time_step)
    incoming = outgoing = exchange.pack(guess.gap, guess.pull)
    anderson = _Anderson(model.comm)
    work: Counter[str] = Counter()
    passes, change = 0, np.inf
    while change > tolerances.exchange:
        if passes == tolerances.maximum_passes:
            raise NotConverged(
                f"the two problems did not agree in {passes} passes", residuals={"exchange": change}
            )
        if passes:
            incoming = anderson.next(incoming, outgoing)
        passes += 1
        gap, pull = exchange.unpack(incoming)
        incoming = exchange.pack(gap, pull)  # an extrapolated gap is cut at zero
        taken = electrochemistry.solve(
            electrochemical,
            rate=rate,
            history=history,
            gap=gap,
            layer=deepening,
            pull=pull,
            current=current,
            voltage=voltage,
            power=power,
            conductance=conductance,
            tolerance=tolerances.current,
            limits=tolerances.limits,
        )
        work.update(newton_electrochemistry=taken.newton, linear_electrochemistry=taken.linear)
        expansion = model.expansion(electrochemical)
        mechanics.stiffen(model.stiffness_factor(electrochemical))
        taken, cohesion, jump = mechanics.solve(
            mechanical,
            expansion=expansion,
            previous=previous.mechanical,
            damage=previous.damage,
            spent=previous.spent,
            previous_jump=previous.jump,
            time_step=time_step,
            tolerance=tolerances.force,
            limits=tolerances.limits,
        )
        work.update(newton_mechanics=taken.newton, linear_mechanics=taken.linear)
        hydrostatic, released = model.stresses(electrochemical, mechanical, expansion)
        outgoing = exchange.pack(model.gap(jump), released)
        change = anderson.norm(outgoing - incoming)
    weights = bodies.weights
    layer = together(model.comm, lambda: electrochemistry.deepened(electrochemical, gap, deepening))
    state = State(
        time=float(previous.time + time_step),
        electrochemical=electrochemical.array_r.copy(),
        mechanical=mechanical.array_r.copy(),
        jump=jump,
        damage=cohesion.damage,
        spent=cohesion.spent,
        gap=gap,
        layer=layer,
        hydrostatic=hydrostatic,
        pull=released,
        voltage=electrochemistry.voltage(electrochemical),
        current=model.currents.cell(electrochemical, gap, layer),
        cohesive_dissipation=previous.cohesive_dissipation
        + bodies.sum(weights * cohesion.dissipated),
        viscous_dissipation=previous.viscous_dissipation + bodies.sum(weights * cohesion.viscous),
        crack_dissipation=previous.crack_dissipation
        + bodies.sum(bodies.split(weights * cohesion.dissipated)[GRAIN_BOUNDARY]),
        snap_release=previous.snap_release + snapped(model, previous, jump, cohesion),
    )
    PETSc.garbage_cleanup(model.comm)
    return state, Work(passes=passes, **work)


def snapped(model: Model, previous: State, jump: Array, cohesion: Cohesion) -> float:
    """Return the energy that a step released beyond what its surfaces took; collective [J].

    The bodies are elastic: as a surface opens from one equilibrium to the next they give it the
    mean of both tractions, times the opening. Where it is damaged on the way its law stores and
    dissipates that much as long as each opening in between is an equilibrium, too. Where it lets go
    by itself it takes less; the rest goes into motion, of which equilibrium knows nothing. What
    half of the viscous traction takes is left out: it rises within the step.
    """
    before = model.mechanics.traction(previous.jump, previous.damage)
    after = model.mechanics.traction(jump, cohesion.damage)
    # what is stored is half of traction times jump: unloading follows the secant
    excess = 0.5 * np.einsum("ni,ni->n", before, jump)
    excess -= 0.5 * np.einsum("ni,ni->n", after, previous.jump) + cohesion.dissipated
    excess = np.where(cohesion.dissipated > 0.0, excess, 0.0) - 0.5 * cohesion.viscous
    return max(0.0, model.bodies.sum(model.bodies.weights * excess))


def _followed(model: Model, time_step: float) -> float:
    """Return how much of a change of stress lithium follows in a step: 0 little, 1 all of it.

    A change may be as short as the distance of two nodes, and the step that made it goes on as the
    guess of the next.
    """
    volume = model.mechanics.node_volume
    spacing = (model.bodies.sum(volume) / model.comm.allreduce(volume.size)) ** (1 / 3)
    fastest = max(
        row.fastest * row.material.largest_diffusivity_factor
        for row in model.bodies.regions
        if isinstance(row.material, ActiveMaterial)
    )
    reached = fastest * time_step
    return float(reached / (reached + spacing**2))


class _Exchange:
    """The exchange as one vector whose square norm is a sum of mean squares of pure numbers."""

    def __init__(self, model: Model, time_step: float) -> None:
        energy = GAS_CONSTANT * model.temperature
        bodies, node_volume = model.bodies, model.mechanics.node_volume
        self._spread = bodies.spread
        decay = {surface.name: surface.decay_length for surface in bodies.surfaces}
        roots = {n: np.sqrt(bodies.points[n].weights / bodies.area(n)) for n in bodies.cohesive}
        self._gap = np.concatenate([root * (1 / decay[n]) for n, root in roots.items()])
        weight = 1 + _STRICTER * _followed(model, time_step)
        self._pull = np.sqrt(node_volume / bodies.sum(node_volume)) * weight / energy

    def pack(self, gap: Array, pull: Array) -> Array:
        return np.concatenate([self._gap * gap, self._pull * pull[: self._pull.size]])

    def unpack(self, packed: Array) -> tuple[Array, Array]:
        scale = np.concatenate([self._gap, self._pull])
        values = np.divide(packed, scale, out=np.zeros(scale.size), where=scale != 0)
        gap, pull = np.split(values, [self._gap.size])
        return np.maximum(gap, 0.0), self._spread(pull)


class _Anderson:
    """Anderson acceleration of a fixed-point iteration, with a short memory."""

    DEPTH = 5

    def __init__(self, comm: MPI.Comm) -> None:
        self._comm = comm
        self._outgoing: list[Array] = []
        self._residuals: list[Array] = []

    def norm(self, vector: Array) -> float:
        return float(np.sqrt(self._comm.allreduce(float(vector @ vector))))

    def next(self, incoming: Array, outgoing: Array) -> Array:
        self._outgoing = [*self._outgoing[-self.DEPTH :], outgoing]
        self._residuals = [*self._residuals[-self.DEPTH :], outgoing - incoming]
        if len(self._residuals) == 1:
            return outgoing
        steps = np.diff(self._residuals, axis=0)
        gram = self._comm.allreduce(steps @ np.column_stack([*steps.T.T, self._residuals[-1]]))
        weights = np.linalg.lstsq(gram[:, :-1], gram[:, -1], rcond=1e-12)[0]
        return outgoing - weights @ np.diff(self._outgoing, axis=0)
