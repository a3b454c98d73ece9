"""The resistance of the neck between two spheres, against a series of Legendre polynomials.

If these fail, current lines do not crowd where particles touch, or a contact has another area.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, sqrt

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest
from scipy.special import eval_legendre

from femssb.cell.bodies import Bodies
from femssb.cell.currents import Currents
from femssb.cell.electrochemical_problem import ElectrochemicalProblem
from femssb.cell.paths import CutOff
from femssb.cell.regions import regions
from femssb.cell.surfaces import surfaces
from femssb.environment.ranks import on_first_rank
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.boundary import Fixed, Free
from femssb.inputs.interfaces import ContactResistance, ParticleContacts
from femssb.meshing import MeshData, from_arrays
from femssb.meshing.formats import gmsh_session
from femssb.units import um
from tests.verification.half_cells import lopsided

RADIUS = 2.5 * um
NECK = 0.15  # radius of the disc, in units of that of the spheres
CONDUCTIVITY = 0.3  # [S/m]
PARTS = ("particle_1", "particle_2", "ecbd", "electrolyte")


def two_spheres(near: float, far: float) -> MeshData:
    """Return a half of a sphere on the collector, with a sphere on top that it meets in a disc.

    Args:
        near: Size of cells at the disc, in units of its radius.
        far: Size of cells elsewhere, in units of that of the spheres.
    """

    def work():
        height = sqrt(1 - NECK**2)  # of the disc
        top, half = 2 * height + 1.2, 1.2
        with gmsh_session() as gmsh:
            occ, field = gmsh.model.occ, gmsh.model.mesh.field

            def box(low, high, width=half):
                return (3, occ.addBox(-width, -width, low, 2 * width, 2 * width, high - low))

            lower = occ.intersect([(3, occ.addSphere(0, 0, 0, 1))], [box(0, height, 2)])[0]
            upper = occ.addSphere(0, 0, 2 * height, 1)
            upper = occ.intersect([(3, upper)], [box(height, 4, 2)])[0]
            layers = [box(0, top), box(top, top + 0.4)]
            occ.fragment([*lower, *upper], layers)
            occ.synchronize()
            ball = field.add("Ball")
            values = {"VIn": NECK * near, "VOut": far, "ZCenter": height}
            values |= {"Radius": 1.3 * NECK, "Thickness": 0.9}
            for name, value in values.items():
                field.setNumber(ball, name, value)
            field.setAsBackgroundMesh(ball)
            _alike(gmsh, half)
            gmsh.model.mesh.generate(3)
            tags, points, _ = gmsh.model.mesh.getNodes()
            number = np.zeros(int(tags.max()) + 1, np.int64)
            number[tags.astype(np.int64)] = np.arange(len(tags))
            points, cells = points.reshape(-1, 3), []
            for _, volume in gmsh.model.getEntities(3):
                cells.append(number[gmsh.model.mesh.getElementsByType(4, volume)[1]].reshape(-1, 4))
        cells = np.vstack(cells)
        middle = points[cells].mean(axis=1)
        of = np.select(
            [
                (np.linalg.norm(middle, axis=1) < 1) & (middle[:, 2] < height),
                np.linalg.norm(middle - [0, 0, 2 * height], axis=1) < 1,
                middle[:, 2] < top,
            ],
            PARTS[:3],
            PARTS[3],
        )
        faces = np.sort(cells[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]], axis=2)
        faces, owner = faces.reshape(-1, 3), np.repeat(of, 4)
        z = points[faces][:, :, 2]
        floor = (np.abs(z) < 1e-9).all(axis=1)
        facets = {
            "collector": faces[floor & (owner == "ecbd")],
            "particle_collector": faces[floor & (owner == "particle_1")],
            "anode": faces[(np.abs(z - top - 0.4) < 1e-9).all(axis=1)],
        }
        return points * RADIUS, cells, of.tolist(), facets

    points, cells, of, facets = MPI.COMM_WORLD.bcast(on_first_rank(MPI.COMM_WORLD, work))
    return from_arrays(points, cells, of, facets=facets)


def _alike(gmsh, half):
    """Make opposite sides of the box alike."""
    centre = gmsh.model.occ.getCenterOfMass
    sides = [tag for _, tag in gmsh.model.getEntities(2)]
    places = np.array([centre(2, tag) for tag in sides])
    for axis in (0, 1):
        shift = np.eye(4)
        shift[axis, 3] = 2 * half
        for row in np.flatnonzero(np.abs(places[:, axis] + half) < 1e-6).tolist():
            across = np.argmin(np.linalg.norm(places - places[row] - shift[:3, 3], axis=1))
            other = [sides[int(across)]]
            gmsh.model.mesh.setPeriodic(2, other, [sides[row]], shift.ravel().tolist())


def spreading() -> tuple[float, float]:
    """Return what both sides of the disc resist, times conductivity and radius of the spheres.

    A sphere into which a current flows evenly over a cap, for the one below to its equator, for the
    one above to all of its surface: potentials in a series, means over the cap. Less what lies
    between the cap and the disc.
    """
    cosine = sqrt(1 - NECK**2)
    n = np.arange(1, 20001)
    share = (eval_legendre(n - 1, cosine) - eval_legendre(n + 1, cosine)) / (1 - cosine)
    terms = share**2 / (4 * pi * n * (2 * n + 1))
    lens = 1 / (4 * pi)
    return 2 * terms[n % 2 == 1].sum() - lens, terms.sum() - lens


@pytest.mark.parametrize(
    ("near", "far", "film", "error", "spread_error"),
    [
        (1 / 4, 0.4, 2e-6, 0.02, 0.08),
        pytest.param(1 / 7, 0.2, 1e-4, 0.01, 0.01, marks=pytest.mark.slow),
    ],
)
def test_neck(near, far, film, error, spread_error):
    """Would catch a contact of the wrong area or resistance, and electrons that avoid the neck.

    A poor film lets the current crowd at the rim of the disc, which an even one does not.
    """
    materials = lopsided()
    materials = replace(
        materials,
        active=replace(materials.active, electronic_conductivity=CONDUCTIVITY),
        ecbd=replace(materials.ecbd, electronic_conductivity=0.0, ionic_conductivity=1e3),
        kinetics=replace(materials.kinetics, rate_constant=1e-12),  # slow: even all over
        resistance=replace(materials.resistance, closed=0.0),
        contacts=ParticleContacts(
            resistance=ContactResistance(closed=film, decay_length=np.inf), collector=1e-12
        ),
    )
    data = two_spheres(near, far)
    rows = regions(data, materials)
    table = surfaces(materials, rows, data.facets, collector=Fixed(), anode=Free())
    bodies = Bodies(data, rows, table, order=1)
    problem = ElectrochemicalProblem(
        bodies, LinearSolver(), temperature=materials.temperature, cut_off=CutOff(ions=(0,))
    )
    x, _ = problem.at_rest()
    current, gap = 1e-3 * problem.one_c, np.zeros(bodies.weights.size)
    known = problem.stoichiometry(x)
    layer = problem.layer.deepening(problem.layer.at_rest(), 1.0, known)
    problem.solve(
        x,
        rate=1.0,
        history=-known[: problem.node_charge.size],
        gap=gap,
        layer=layer,
        pull=np.zeros(known.size),
        current=current,
        voltage=None,
        tolerance=1e-12,
    )
    powers = Currents(problem).powers(x, gap, problem.deepened(x, gap, layer))
    spread = sum(spreading()) / (CONDUCTIVITY * RADIUS)
    found = (powers.electronic + powers.contact) / current**2
    assert found == pytest.approx(spread + film / (pi * (NECK * RADIUS) ** 2), rel=error)
    assert powers.electronic / current**2 == pytest.approx(spread, rel=spread_error)
