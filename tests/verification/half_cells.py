"""Half-cells that are laminates, so that a formula gives the answer, and single steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import femssb.environment.platform

import dolfinx.mesh
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from femssb.cell.coupling import Guess, Tolerances, Work, advance
from femssb.cell.model import Model, State
from femssb.cell.surfaces import INTERFACE
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.boundary import Fixed, Free
from femssb.inputs.curves import Curve
from femssb.inputs.materials import Materials
from femssb.library import yuan2023
from femssb.meshing import MeshData
from femssb.meshing.parts import REGIONS
from femssb.run.stepping import bdf
from femssb.units import FARADAY, GAS_CONSTANT, um
from tests.verification.slabs import GRAIN, Layer, facets_at, slabs

Array = NDArray[np.float64]

TIGHT = Tolerances(current=1e-13, force=1e-12, exchange=1e-12, maximum_passes=60)
EXACT = LinearSolver(reduction=1e-8)

PARTICLE, ECBD, ELECTROLYTE = 1 * um, 2 * um, 3 * um  # thicknesses
WIDTH = 1 * um


def face_collector(
    *, cells: int = 1, layers: tuple[int, int] = (5, 3), orientation: Array | None = None
) -> MeshData:
    """Return grain | ecbd with collector and anode on the same face: all currents along z.

    Args:
        cells: Along each side of the cross-section.
        layers: Across the grain and the ecbd.
        orientation: Rotation of the grain (1, 3, 3).
    """
    data = slabs(
        [
            Layer(region=GRAIN, thickness=PARTICLE, cells=layers[0]),
            Layer(region="ecbd", thickness=ECBD, cells=layers[1]),
        ],
        width=WIDTH,
        cells=cells,
        orientations=orientation,
    )
    return replace(data, facets={**data.facets, "collector": data.facets["anode"]})


def side_collector(*, orientation: Array | None = None) -> MeshData:
    """Return grain | ecbd | electrolyte with the collector around the sides of the ecbd."""
    data = slabs(
        [
            Layer(region=GRAIN, thickness=PARTICLE, cells=5),
            Layer(region="ecbd", thickness=ECBD, cells=3),
            Layer(region="electrolyte", thickness=ELECTROLYTE, cells=2),
        ],
        width=WIDTH,
        cells=2,
        orientations=orientation,
    )
    domain, tags = data.mesh, data.facet_tags
    sides = np.concatenate(
        [facets_at(domain, sign * WIDTH / 2, axis=axis) for axis in (0, 1) for sign in (1, -1)]
    )
    to_cells = domain.topology.connectivity(2, 3)
    region = np.array([data.cell_tags.values[to_cells.links(facet)[0]] for facet in sides], int)
    collector = data.facets["collector"]
    values = np.where(tags.values == collector, data.facets["x_min"], tags.values)
    values[np.isin(tags.indices, sides[region == REGIONS["ecbd"]])] = collector
    return replace(data, facet_tags=dolfinx.mesh.meshtags(domain, 2, tags.indices, values))


def laminate(data: MeshData, materials: Materials, **arguments: Any) -> Model:
    """Return the model of a laminate, held at the anode."""
    return Model(data, materials, collector=Free(), anode=Fixed(), linear_solver=EXACT, **arguments)


def constant(value: float) -> Curve:
    """Return a property that does not depend on the concentration."""
    return Curve(
        function=lambda c: np.full_like(c, value), slope=np.zeros_like, lower=0.0, upper=2e5
    )


def line(slope: float, zero: float) -> Curve:
    """Return a property that grows with the concentration, and where it vanishes [mol/m3]."""
    return Curve(
        function=lambda c: slope * (c - zero),
        slope=lambda c: np.full_like(c, slope),
        lower=0.0,
        upper=2e5,
    )


def lopsided():
    """Return materials in which every term of the voltage is at least a millivolt at 50 A/m2."""
    materials = yuan2023.materials()
    return replace(
        materials,
        active=replace(
            materials.active,
            initial_concentration=30000.0,
            nominal_capacity=30000.0,
            stress_free_concentration=30000.0,
            diffusivity=(1e-13, 3e-13, 2e-13),
            expansion=line(3e-7, 30000.0),
        ),
        ecbd=replace(materials.ecbd, ionic_conductivity=5e-3, electronic_conductivity=2e-2),
        electrolyte=replace(materials.electrolyte, ionic_conductivity=0.04),
        kinetics=replace(materials.kinetics, anodic_transfer=0.4),
        anode=replace(materials.anode, anodic_transfer=0.3),
    )


def overpotential(density, exchange, anodic, temperature):
    """Return what drives a current density through Butler-Volmer kinetics [V]."""
    thermal = GAS_CONSTANT * temperature / FARADAY

    def excess(x):
        return np.exp(anodic * x) - np.exp((anodic - 1) * x) - density / exchange

    return thermal * brentq(excess, -50, 50, xtol=1e-15)


def voltage_of(materials, density, surface_concentration, resistances):
    """Return the voltage at which a charging current density [A/m2] flows."""
    active, kinetics, anode = materials.active, materials.kinetics, materials.anode
    c = surface_concentration
    exchange = FARADAY * kinetics.rate_constant * np.sqrt(c * (active.maximum_concentration - c))
    open_circuit = float(active.open_circuit_voltage.value(np.array([c]))[0])
    insertion = overpotential(density, exchange, kinetics.anodic_transfer, materials.temperature)
    lithium = overpotential(
        -density, anode.exchange_current, anode.anodic_transfer, materials.temperature
    )
    resistance = materials.resistance.closed + sum(resistances)
    return open_circuit + insertion - lithium + density * resistance


def resistances_of(materials, data):
    """Return what the layers add [ohm m2]; from the sides electrons arrive almost without loss."""
    ecbd = materials.ecbd
    if "electrolyte" in data.regions:
        return (
            ECBD / ecbd.ionic_conductivity,
            ELECTROLYTE / materials.electrolyte.ionic_conductivity,
        )
    return ECBD / ecbd.ionic_conductivity, ECBD / ecbd.electronic_conductivity


def at_interface(model, state):
    """Return the concentration [mol/m3] at the interface, the same all over it."""
    values = model.electrochemistry.problem.at_points(model.electrochemical(state))[0]
    filled = values[:, 0] + state.layer.sum(axis=1)
    total = model.bodies.sum(model.bodies.points[INTERFACE].weights * filled)
    total /= model.bodies.area(INTERFACE)
    return total * model.materials.active.maximum_concentration


def step(
    model: Model,
    past: State,
    time_step: float,
    *,
    before: State | None = None,
    tolerances: Tolerances = TIGHT,
    **control: float,
) -> tuple[State, Work]:
    """Take one time step: implicit Euler, or BDF2 if the state before the last is given."""
    new, last, second = bdf(time_step, None if before is None else past.time - before.time)
    history = last * model.stoichiometry(past)
    if before is not None:
        history += second * model.stoichiometry(before)
    guess = Guess(
        electrochemical=past.electrochemical,
        mechanical=past.mechanical,
        gap=past.gap,
        pull=past.pull,
    )
    return advance(
        model,
        past,
        guess,
        time_step=time_step,
        rate=new,
        history=history,
        continued=before is not None,
        tolerances=tolerances,
        **control,
    )
