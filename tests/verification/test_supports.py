"""Faces that are held, pushed or moved by name: each against a closed form or an equal cell.

If these fail, a model with sides of symmetry, springs or free sides has wrong stresses.
Worth reading: `test_a_bar_without_sides`, and `test_half_a_cell_is_the_whole`.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, InputError, MeshError, Simulation
from femssb.cell.coupling import Tolerances
from femssb.cell.model import Couplings, Model
from femssb.inputs.boundary import Displacement, Fixed, Free, Pressure, Spring, Symmetric, Traction
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.interfaces import ContactResistance, ParticleContacts
from femssb.meshing import MeshData, from_arrays
from femssb.run.stepping import FixedSteps
from femssb.units import GPa, MPa, nm, um
from tests.verification.half_cells import EXACT, lopsided
from tests.verification.slabs import GRAIN, Layer, slabs

MODULUS, RATIO = 100 * GPa, 0.3
SHEAR = MODULUS / 2 / (1 + RATIO)
CONFINED = MODULUS * (1 - RATIO) / (1 + RATIO) / (1 - 2 * RATIO)
WIDTH, HEIGHT = 1 * um, 3 * um
EXACTLY = Tolerances(current=1e-11, force=1e-10, exchange=1e-9)
STILL = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)


def bar(comm: MPI.Intracomm = MPI.COMM_SELF) -> MeshData:
    """Return grain | ecbd of 1 and 2 um, its lower corner in the origin."""
    data = slabs(
        [
            Layer(region=GRAIN, thickness=1 * um, cells=2),
            Layer(region="ecbd", thickness=2 * um, cells=2),
        ],
        width=WIDTH,
        cells=2,
        comm=comm,
    )
    data.mesh.geometry.x[:, :2] += WIDTH / 2
    facets = {k.replace("collector", "particle_collector"): v for k, v in data.facets.items()}
    return replace(data, facets=facets)


def one_material(**active):
    """Return materials of one stiffness, with an interface that hardly gives way."""
    materials = lopsided()
    elasticity = Elasticity(young_modulus=MODULUS, poisson_ratio=RATIO)
    return replace(
        materials,
        active=replace(
            materials.active, elasticity=elasticity, electronic_conductivity=0.1, **active
        ),
        ecbd=replace(materials.ecbd, elasticity=elasticity, electronic_conductivity=0.0),
        contacts=ParticleContacts(
            resistance=ContactResistance(closed=1e-4, decay_length=np.inf), collector=1e-4
        ),
        cohesive=replace(materials.cohesive.unbreakable, stiffness=1e22, viscosity=0.0),
    )


def moved(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return places (n, 3) and displacements (n, 3) of the nodes of all bodies on this rank [m]."""
    state = model.initial_state(tolerance=1e-10)
    values = model.mechanics.unknowns.expand(model.mechanical(state))
    found = dict(zip(model.mechanics.spaces, values, strict=True))
    parts = model.bodies.parts
    places = [model.mechanics.spaces[name].tabulate_dof_coordinates() for name in parts]
    return np.vstack(places), np.vstack([found[name].reshape(-1, 3) for name in parts])


def model_of(data: MeshData, **arguments) -> Model:
    """Return a model without any coupling, solved to roundoff."""
    return Model(data, one_material(), couplings=STILL, linear_solver=EXACT, **arguments)


@pytest.mark.mpi
def test_a_bar_without_sides(comm):
    """Rollers that hold too much, or sides that stay periodic: a bar must thin as it is pulled."""
    pull = 30 * MPa
    supports = {"x_min": Symmetric(), "y_min": Symmetric()}
    model = model_of(
        bar(comm), collector=Symmetric(), anode=Pressure(pressure=-pull), supports=supports
    )
    assert model.bodies.periodic == ()
    x, u = moved(model)
    expected = pull / MODULUS * x * [-RATIO, -RATIO, 1.0]
    np.testing.assert_allclose(u, expected, atol=2e-5 * pull / MODULUS * HEIGHT)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("sides", ["periodic", "rollers", "one of each"])
def test_a_bar_between_walls(comm, sides):
    """Pairs that do not go by themselves: periodic across one axis, rollers across the other."""
    pairs = {"periodic": "", "rollers": "xy", "one of each": "y"}[sides]
    supports = {f"{axis}_{end}": Symmetric() for axis in pairs for end in ("min", "max")}
    push = 30 * MPa
    model = model_of(bar(comm), anode=Pressure(pressure=push), supports=supports)
    assert len(model.bodies.periodic) == 2 - len(pairs)
    x, u = moved(model)
    expected = -push / CONFINED * x * [0.0, 0.0, 1.0]
    np.testing.assert_allclose(u, expected, atol=2e-5 * push / CONFINED * HEIGHT)


@pytest.mark.mpi(ranks=2)
def test_a_face_is_moved(comm):
    """A displacement that is not imposed, or that pulls with another force than it must."""
    model = model_of(bar(comm), anode=Displacement(z=-2 * nm))
    x, u = moved(model)
    np.testing.assert_allclose(u, -2 * nm / HEIGHT * x * [0.0, 0.0, 1.0], atol=5e-5 * nm)
    state = model.initial_state(tolerance=1e-10)
    traction = model.traction(state)[:, 0]
    np.testing.assert_allclose(traction, -CONFINED * 2 * nm / HEIGHT, rtol=2e-5)


def test_a_displacement_of_zero_is_fixed():
    """Components that are kept as unknowns and nodes that are none: both must give one answer."""
    sides = ("x_min", "x_max")
    answers = [
        moved(
            model_of(
                bar(), anode=Pressure(pressure=30 * MPa), supports=dict.fromkeys(sides, support)
            )
        )[1]
        for support in (Fixed(), Displacement(x=0.0, y=0.0, z=0.0))
    ]
    assert np.abs(answers[0]).max() > 0.1 * nm
    np.testing.assert_allclose(*answers, atol=1e-9 * nm)


@pytest.mark.mpi(ranks=2)
def test_a_bar_on_springs(comm):
    """Stiffness of a face per area: series of the bar and of the springs below it."""
    spring = 2 * CONFINED / HEIGHT
    push = 30 * MPa
    model = model_of(
        bar(comm), collector=Spring(normal=spring, tangential=1e15), anode=Pressure(pressure=push)
    )
    x, u = moved(model)
    expected = -push * (1 / spring + x[:, 2] / CONFINED)
    np.testing.assert_allclose(u[:, 2], expected, atol=2e-5 * push / spring)


@pytest.mark.mpi(ranks=2)
def test_a_bar_is_sheared(comm):
    """A traction along the face, and springs along another: direction, sign, and area."""
    spring, load = 2 * SHEAR / HEIGHT, 20 * MPa
    model = model_of(
        bar(comm),
        collector=Spring(normal=1e20, tangential=spring),
        anode=Traction(x=load),
    )
    x, u = moved(model)
    expected = load * (1 / spring + x[:, 2] / SHEAR)
    np.testing.assert_allclose(u[:, 0], expected, atol=1e-5 * load / spring)
    np.testing.assert_allclose(u[:, 1:], 0.0, atol=1e-5 * load / spring)


def cubes(names: list[list[str]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return points, tetrahedra and regions of cubes of 1 um: names[z][x]."""
    six = [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
    width, height = len(names[0]), len(names)
    points = np.array(
        [(x, y, z) for x in range(width + 1) for y in (0, 1) for z in range(height + 1)], float
    )
    number = {tuple(place): row for row, place in enumerate(points.tolist())}
    cells = [
        [number[x + k % 2, k // 2 % 2, z + k // 4] for k in corners]
        for z in range(height)
        for x in range(width)
        for corners in six
    ]
    of_cell = [name for row in names for name in row for _ in six]
    return points * um, np.array(cells), of_cell


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_half_a_cell_is_the_whole(comm, slope):
    """A particle cut by a plane of symmetry: lithium, ions and stress as in the periodic cell.

    The stress that lithium sees is recovered from the cells around a node, and the curvature of the
    surface from the facets at an edge: half of both are missing there. With a slope the surface of
    the whole particle has an edge in the plane.
    """
    names = [["ecbd", "ecbd"], ["particle", "ecbd"], ["ecbd", "ecbd"], ["electrolyte"] * 2]
    points, cells, of_cell = cubes(names)
    top = np.isclose(points[:, 2], 2 * um)
    points[top, 2] -= slope * points[top, 0]
    half = from_arrays(points, cells, of_cell, periodic="y", comm=comm)
    mirrored = points * [-1, 1, 1]
    own = np.flatnonzero(points[:, 0] > 0)
    number = np.arange(len(points))
    number[own] = len(points) + np.arange(len(own))
    whole = from_arrays(
        np.vstack([points, mirrored[own]]),
        np.vstack([cells, number[cells]]),
        2 * of_cell,
        comm=MPI.COMM_SELF,
    )
    sides = {"x_min": Symmetric(), "x_max": Symmetric()}
    found = []
    for data, supports in ((half, sides), (whole, {})):
        model = Model(
            data, lopsided(), anode=Pressure(pressure=5 * MPa), supports=supports,
            linear_solver=EXACT,
        )  # fmt: skip
        run = Simulation(model, [Charge(c_rate=1, until_duration=60.0)],
                         stepping=FixedSteps(sizes=(20.0,)), tolerances=EXACTLY)  # fmt: skip
        found.append(run.run(progress=False).series)
    for name in (
        "Voltage [V]", "Maximum gap [m]", "Maximum von Mises stress [Pa]",
        "Minimum concentration [mol/m3]", "Maximum concentration [mol/m3]",
    ):  # fmt: skip
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-8, err_msg=name)
    for name in ("Current [A]", "Activation loss [W]"):
        np.testing.assert_allclose(2 * found[0][name], found[1][name], rtol=1e-8, atol=1e-25)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"supports": {"x_mni": Fixed()}}, InputError, "x_mni.*none of the sides"),
        ({"supports": {"anode": Fixed()}}, InputError, "give Model.anode"),
        ({"supports": {"x_min": 3}}, InputError, "is none of"),
        ({"collector": Free()}, InputError, "one of them must be Fixed"),
        (
            {"collector": Symmetric(), "supports": {"x_min": Symmetric()}},
            MeshError, "move along y",
        ),
        (
            {"collector": Free(), "supports": {"x_min": Symmetric(), "y_min": Symmetric()}},
            MeshError, "move along z",
        ),
        (
            {"supports": {"x_min": Displacement(z=1 * nm)}, "anode": Displacement(z=2 * nm)},
            InputError, "to different places",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_refused(arguments, error, words):
    """A singular matrix, or a side that is silently free."""
    with pytest.raises(error, match=words):
        model_of(bar(), **arguments)
