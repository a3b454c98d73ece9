"""If these fail, a cell made from an electrode conducts, reacts or holds another amount than it."""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import library
from femssb.electrode import effective
from femssb.electrode.layer import layer
from femssb.errors import InputError, MeshError
from femssb.inputs.geometry import HalfCell, Polycrystal
from femssb.inputs.interfaces import ContactResistance, ParticleContacts
from femssb.meshing.half_cell import mesh
from femssb.meshing.resolved_cell import ResolvedCell, Sphere
from femssb.packing import Packing
from femssb.units import FARADAY, um
from femssb.voxels import VoxelImage
from tests.verification.lattices import conductivity_of_lattice
from tests.verification.stacks import EDGE, stack

SE, CARBON, AM = 0.5, 30.0, 2.0  # [S/m]
SULFIDE = library.LI6PS5CL.elasticity
RAILS = {"ionic": {"SE": SE}, "electronic": {"CBD": CARBON}, "elasticity": {"SE": SULFIDE}}
BESIDE = ["ecbd", "particle_1", "ecbd"]
CELL = [3 * ["ecbd"], BESIDE, 3 * ["ecbd"], 3 * ["electrolyte"]]


def slabs(height=8):
    """Return slabs side by side across x: 3 of AM, 2 of SE, 1 of CBD, 2 of SE, 2 of void."""
    across = np.array([1, 1, 1, 2, 2, 3, 2, 2, 0, 0], dtype=np.uint8)
    return VoxelImage(
        labels=np.broadcast_to(across[:, None, None], (10, 4, height)).copy(),
        phase_names=("void", "AM", "SE", "CBD"),
        spacing=(1 * um, 1 * um, 1 * um),
        periodic=(True, True, False),
    )


def test_slabs():
    """Would catch phases exchanged, a rail with or without AM, and pores counted as solid."""
    found = effective(slabs(), **RAILS | {"electronic": {"CBD": CARBON, "AM": AM}})
    assert found.shares == pytest.approx({"void": 0.2, "AM": 0.3, "SE": 0.4, "CBD": 0.1})
    assert found.ionic.value == pytest.approx(0.4 * SE)
    assert found.electronic.value == pytest.approx(0.1 * CARBON + 0.3 * AM)
    assert found.around.value == pytest.approx(0.1 * CARBON)
    assert found.touched == pytest.approx(0.5)  # the other side of AM is void
    assert found.thickness == pytest.approx(8 * um)
    active = library.yuan2023.materials().active
    capacity = FARADAY * active.capacity * 0.3 * 8 * um
    assert found.areal_capacity(active) == pytest.approx(capacity)
    assert found.stiffness_bounds[0] == 0.0
    assert found.elasticity.young_modulus == pytest.approx(found.stiffness_bounds[1])
    assert "electrons" in str(found)
    assert found.to_dict()["touched"] == found.touched


def test_electrolyte_that_is_cut_off():
    """Would catch active surface at electrolyte from which no path leads to the separator."""
    labels = slabs().labels.copy()
    labels[3:5, :, 6:] = 0
    labels[6:8, :, 7:] = 1  # AM covers the other one
    labels[6:8, :, :2] = 2
    found = effective(replace(slabs(), labels=labels), **RAILS | {"electronic": {"CBD": CARBON}})
    assert found.ionic.value == 0.0
    assert found.touched == 0.0
    assert "No path leads from 100 % of 'SE'" in found.warnings[0]
    with pytest.raises(InputError, match="no path of ions leads through the electrode"):
        found.conductor(stack(CELL), library.yuan2023.materials())


def spheres():
    """Return columns of overlapping spheres: AM at one corner, SE in the middle of a box."""
    heights = np.arange(0.5, 8, 1.0)
    places = [(x, y, z) for x, y in ((0.0, 0.0), (4.0, 4.0)) for z in heights]
    return Packing(
        positions=np.array(places) * um,
        radii=np.full(len(places), 1.5) * um,
        phases=np.repeat([0, 1], len(heights)),
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 8.0) * um,
        periodic=(True, True, False),
    )


def test_spheres():
    """Would catch an uncertainty that is lost, and contacts of the wrong pair."""
    given = RAILS | {"electronic": {"AM": AM}}
    found = effective(spheres(), spacing=0.125 * um, **given)
    necks, whole = np.pi * (1.5**2 - 0.5**2) / 64, np.pi * 1.5**2 / 64
    assert necks * SE < found.ionic.value < whole * SE
    assert 0 < found.ionic.uncertainty < 0.1 * found.ionic.value
    assert found.electronic.value == pytest.approx(AM / SE * found.ionic.value, rel=1e-2)
    assert found.around.value == 0.0
    assert found.coordination["AM", "SE"] == 0.0
    assert found.coordination["SE", "SE"] > 3.0
    assert found.touched == 0.0  # the two columns do not touch


def test_layer_of_cubes():
    """Would catch a layer that counts the separator, its particles, or the wrong area.

    Columns side by side, of which one in three does not conduct.
    """
    found = layer(stack([BESIDE, BESIDE, 3 * ["electrolyte"]]))
    assert found.relative == pytest.approx(2 / 3, rel=1e-9)
    assert found.thickness == pytest.approx(2 * EDGE)
    assert found.area == pytest.approx(3 * EDGE**2)
    assert found.active == pytest.approx(2 * EDGE**3)
    assert found.interface == pytest.approx(5 * EDGE**2)  # two sides, and the separator


@pytest.mark.mpi
def test_ranks_agree(comm):
    """Would catch a plate that only one rank has, or a volume that is counted on each."""
    one, all_of_them = layer(stack(CELL, MPI.COMM_SELF)), layer(stack(CELL, comm))
    for name in ("relative", "thickness", "area", "active", "interface"):
        assert getattr(all_of_them, name) == pytest.approx(getattr(one, name), rel=1e-9)


@pytest.mark.mpi
def test_ranks_share_the_solves(comm):
    """Would catch properties that depend on how many ranks measure them."""
    labels = slabs().labels.copy()
    labels[3:5, :2, 2:5] = 0  # what conducts is no column any more
    image = replace(slabs(), labels=labels)
    given = RAILS | {"electronic": {"CBD": CARBON, "SE": 1.0}, "tolerance": 1e-5}
    alone, shared = effective(image, **given), effective(image, comm=comm, **given)
    assert alone.ionic.value < 0.39 * SE
    for name in ("ionic", "electronic", "around"):
        one, other = getattr(alone, name), getattr(shared, name)
        assert other.value == pytest.approx(one.value, rel=2e-5)
        assert other.basis == one.basis
    assert shared.areas.pairs.keys() == alone.areas.pairs.keys()
    assert shared.touched == alone.touched
    assert comm.allgather(shared.ionic.value) == [shared.ionic.value] * comm.size


def test_layer_of_a_sphere():
    """Would catch particles that conduct. Plates of a cube are mirrors: a cubic lattice."""
    cell = HalfCell(particles=(Polycrystal(radius=5 * um, grains=1),))
    exact = conductivity_of_lattice("SC", 4 / 3 * np.pi * 125 / 15**3, 0.0)
    coarse, fine = (layer(mesh(cell, size=s * um, far_size=2 * s * um)) for s in (2.0, 1.0))
    assert exact < fine.relative < coarse.relative  # linear elements conduct too well
    assert (4 * fine.relative - coarse.relative) / 3 == pytest.approx(exact, rel=3e-3)


def test_layer_without_a_way():
    """Would catch a matrix that does not lead through, and a conductivity of nothing."""
    closed = [["ecbd"], ["particle_1"], ["ecbd"], ["electrolyte"]]
    with pytest.raises(MeshError, match="does not lead from plate to plate"):
        layer(stack(closed))


def electrode(**changes):
    """Return an electrode as thick and as full of AM as the cell `CELL`, with carbon."""
    found = effective(slabs(height=3), **RAILS)
    return replace(found, shares={**found.shares, "AM": 1 / 9}, **changes)


def test_counterpart():
    """Would catch particles that hinder twice: the meshed layer must conduct as the electrode."""
    data, materials = stack(CELL), library.yuan2023.materials()
    found = electrode().conductor(data, materials)
    assert found.ecbd.ionic_conductivity * layer(data).relative == pytest.approx(0.4 * SE)
    assert found.ecbd.electronic_conductivity * found.relative == pytest.approx(0.1 * CARBON)
    assert found.materials.ecbd == found.ecbd
    assert found.materials.electrolyte == materials.electrolyte
    assert found.materials.kinetics.rate_constant == materials.kinetics.rate_constant / 2
    assert found.materials.resistance.closed == 2 * materials.resistance.closed
    assert found.cell_capacity == pytest.approx(found.electrode_capacity)
    capacity = FARADAY * materials.active.capacity * EDGE / 3
    assert found.current_density(2.0) == pytest.approx(2 * capacity / 3600)


def test_a_cell_with_its_own_electrolyte():
    """Would catch electrolyte that is given the properties of the electrode it is a part of."""
    cell = ResolvedCell(
        width=3 * EDGE,
        depth=3 * EDGE,
        cathode=3 * EDGE,
        particles=(Polycrystal(radius=0.5 * EDGE, grains=1, centre=(0.0, 0.0, EDGE)),),
        electrolyte=(Sphere(radius=0.4 * EDGE, centre=(0.0, 0.0, 2.2 * EDGE)),),
        smallest=0.01 * EDGE,
    )
    data = replace(stack(CELL), origin={"cell": cell})
    with pytest.raises(InputError, match="resolves the electrolyte"):
        electrode().conductor(data, library.yuan2023.materials())


def test_ohmic_drop():
    """Would catch a cell that loses less than its electrode at the same C-rate, unsaid.

    Ten times as thick, ten times the current: a hundred times the drop.
    """
    thick = electrode(thickness=10 * 3 * EDGE)
    data, materials = stack(CELL), library.yuan2023.materials()
    with pytest.raises(InputError, match=r"lose 0\.01 times its voltage"):
        thick.conductor(data, materials)
    same = electrode().conductor(data, materials)
    found = thick.conductor(data, materials, ohmic_drop="scaled")
    for name in ("ionic_conductivity", "electronic_conductivity"):
        assert getattr(found.ecbd, name) == pytest.approx(getattr(same.ecbd, name) / 100)
    drop = found.cell_capacity * 3 * EDGE / (found.ecbd.ionic_conductivity * found.relative)
    real = found.electrode_capacity * thick.thickness / thick.ionic.value
    assert drop == pytest.approx(real)
    separator, anode = found.materials.electrolyte, found.materials.anode
    assert separator.ionic_conductivity == pytest.approx(
        materials.electrolyte.ionic_conductivity / 10
    )
    assert anode.exchange_current == pytest.approx(materials.anode.exchange_current / 10)


def test_electrons_through_the_active_material():
    """Would catch electrons of the active material that are put around it without a word."""
    data, materials = stack(CELL), library.yuan2023.materials()
    through = effective(slabs(3), **RAILS | {"electronic": {"CBD": 1e-3, "AM": AM}})
    with pytest.raises(InputError, match="electrons are in the matrix has no other path"):
        through.conductor(data, materials)
    conducting = replace(
        materials,
        active=replace(materials.active, electronic_conductivity=AM),
        contacts=ParticleContacts(
            resistance=ContactResistance(closed=1e-4, decay_length=np.inf),
            carbon=ContactResistance(closed=1e-4, decay_length=np.inf),
            collector=1e-4,
        ),
    )
    with pytest.raises(InputError, match=r"electrons = 'matrix' in the cell, but materials.active"):
        through.conductor(data, conducting)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ionic": {"SE": 1.0, "AM": 0.1}}, r"effective.ionic\['AM'\] = 0.1 S/m: in a cell ions"),
        ({"ionic": {"CBD": 1.0}}, "SE must conduct"),
        ({"electronic": {"CBD": 0.0}}, "one of them must conduct"),
        ({"electronic": {"X": 1.0}}, "effective.electronic: 'X' is no phase"),
        ({"elasticity": {}}, "effective.elasticity lacks the electrolyte"),
        ({"active": "SE"}, "active and electrolyte are both 'SE'"),
        ({"active": "X"}, "effective.active = 'X' is no phase"),
        ({"spacing": 1 * um}, "effective.spacing is that of the image"),
    ],
)
def test_bad_arguments(changes, message):
    """Would catch a slip that surfaces as a number."""
    with pytest.raises(InputError, match=message):
        effective(slabs(), **RAILS | changes)


def test_sides_that_are_free_insulate():
    """Catches a layer that conducts across sides through which nothing passes in the cell."""
    ball = Polycrystal(radius=3 * um, grains=1, centre=(0.8 * um, 0.0, 4 * um))
    cell = HalfCell(width=8 * um, cathode=8 * um, separator=2 * um, particles=(ball,))
    data = mesh(cell, size=2 * um, comm=MPI.COMM_SELF)
    walls = replace(data, open_axes=(0, 1))
    assert walls.periodic == ()
    assert layer(walls).relative < 0.998 * layer(data).relative
