"""Packings taken through the stages of a press: at rest, in balance, resumable, on any ranks.

If these fail, stresses and porosities belong to no pressure at all. The tests worth reading are
`test_workflow_comes_to_rest` and `test_a_second_call_resumes`.
"""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
import pytest

from femssb.description import description
from femssb.errors import EngineError, InputError, NotConverged
from femssb.library.cathodes import NCM523
from femssb.library.electrolytes import LI6PS5CL
from femssb.packing import (
    Component,
    ListedSizes,
    LognormalSizes,
    Packing,
    Recipe,
    coordination,
    insert,
    mean_stress,
    particle_stress,
    porosity,
    rattlers,
    read,
    solid_profile,
)
from femssb.particles import (
    ElasticPlastic,
    HertzMindlin,
    Isostatic,
    Servo,
    Swell,
    Uniaxial,
    cycles,
    press,
    pressing,
    yield_pressure,
)
from femssb.particles.lammps import granular
from femssb.particles.lammps.engine import Engine
from femssb.particles.stages import Growth, Stage, between_planes
from femssb.units import MPa, kPa, um
from tests.ranks import alone_and_together

SOLIDS = {"AM": NCM523, "SE": LI6PS5CL}
HERTZ = HertzMindlin(solids=SOLIDS)
PLASTIC = ElasticPlastic(solids=SOLIDS, yield_pressures={"SE": yield_pressure(LI6PS5CL)})
STAGES = [
    Uniaxial(pressure=375 * MPa),
    Uniaxial(pressure=101.325 * kPa),
    Isostatic(pressure=5 * MPa),
    *cycles("AM", 0.06, pressure=5 * MPa, count=1),
    Isostatic(pressure=101.325 * kPa),
]
QUICK = [Uniaxial(pressure=50 * MPa), Swell(phase="AM", growth=0.01, pressure=50 * MPa)]


def powder(width: float = 14 * um, seed: int = 1):
    """Return about a hundred spheres of two phases."""
    sizes = {
        "AM": LognormalSizes(
            median=4 * um, geometric_deviation=1.2, smallest=3 * um, largest=5 * um
        ),
        "SE": LognormalSizes(
            median=6 * um, geometric_deviation=1.2, smallest=5 * um, largest=7 * um
        ),
    }
    recipe = Recipe(
        components=tuple(
            Component(name=name, solid=SOLIDS[name], share=share, sizes=sizes[name])
            for name, share in (("AM", 0.73), ("SE", 0.27))
        ),
        loading=0.1,
        width=width,
    )
    return insert(recipe, height=75 * um, seed=seed)


def at_rest(packing, axes) -> None:
    """Check from the packing alone that it is at rest under the pressure of its last stage."""
    report = packing.origin["stages"][-1]
    contacts = packing.contacts
    net = np.zeros_like(packing.positions)
    np.add.at(net, contacts.first, contacts.forces)
    ball = contacts.between_spheres
    np.add.at(net, contacts.second[ball], -contacts.forces[ball])
    size = np.linalg.norm(contacts.forces[contacts.loaded], axis=1)
    assert np.linalg.norm(net, axis=1).mean() < 1e-3 * size.mean()
    pressure = -np.diag(mean_stress(packing))[axes]
    np.testing.assert_allclose(pressure, report["pressure"], rtol=5e-3)
    for axis in axes:
        for side in (0, 1):
            wall = ~ball & (np.argmax(np.abs(contacts.branches), axis=1) == axis)
            wall &= (contacts.branches[:, axis] > 0) == bool(side)
            area = np.prod(packing.lengths) / packing.lengths[axis]
            push = np.abs(contacts.forces[wall, axis].sum()) / area
            assert push == pytest.approx(report["pressure"], rel=1e-3)


@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_workflow_comes_to_rest(law, tmp_path):
    """Would catch a stage that ends in motion, or a press whose pressure is not in the spheres."""
    pressed, relaxed, squeezed, grown, shrunk, free = press(powder(), STAGES, law, out=tmp_path)
    for packing in (pressed, relaxed):
        at_rest(packing, [2])
    for packing in (squeezed, grown, shrunk, free):
        at_rest(packing, [0, 1, 2])
    # The volume average over all spheres is the applied pressure, with planes, for both partitions.
    for partition in ("arms", "halves"):
        stress = particle_stress(squeezed, partition=partition)
        mean = np.einsum("n,nij->ij", squeezed.volumes, stress) / np.prod(squeezed.lengths)
        np.testing.assert_allclose(-np.diag(mean), 5 * MPa, rtol=5e-3)
    assert np.ptp(particle_stress(squeezed) - particle_stress(squeezed, partition="halves")) > MPa
    # Pressed is denser than relaxed; the spheres grow and come back to their size.
    assert pressed.lengths[2] < relaxed.lengths[2]
    assert grown.radii[grown.of_phase("AM")] == pytest.approx(
        1.06 * shrunk.radii[shrunk.of_phase("AM")]
    )
    np.testing.assert_allclose(shrunk.radii, pressed.radii, rtol=1e-12)
    assert coordination(pressed).sum() > coordination(free).sum()
    found = porosity(pressed)
    assert found.nominal < found.union
    assert 0.1 < found.union < 0.4


@pytest.mark.mpi(ranks=2)  # a third has less than 40 spheres
@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_a_second_call_resumes(law, shared_path, comm, monkeypatch):
    """Would catch springs, dents or velocities that are lost when a press is stopped."""
    start = powder()
    stages = [*QUICK, Uniaxial(pressure=20 * MPa)]
    at_once = press(start, stages, law, out=shared_path / "once", comm=comm)
    press(start, stages[:2], law, out=shared_path / "twice", comm=comm)
    resumed = press(start, stages, law, out=shared_path / "twice", comm=comm)
    np.testing.assert_allclose(resumed[-1].lengths, at_once[-1].lengths, rtol=1e-12)
    np.testing.assert_allclose(resumed[-1].positions, at_once[-1].positions, atol=1e-9 * um)

    def nothing(*_, **__):
        raise AssertionError("LAMMPS was started for what is in the folder")

    monkeypatch.setattr(pressing, "Engine", nothing)
    found = press(start, stages, law, out=shared_path / "twice", comm=comm)
    for one, other in zip(found, resumed, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.contacts.forces, other.contacts.forces)
    other, twice = [Uniaxial(pressure=51 * MPa)], shared_path / "twice"
    with pytest.raises(InputError, match=r"stages of another press: 01_uniaxial.*overwrite=True"):
        press(start, other, law, out=twice, comm=comm)
    with pytest.raises(InputError, match="stages of another press"):
        press(start, [*stages[:2], *other], law, out=twice, comm=comm)
    with pytest.raises(InputError, match="stages of another press"):
        press(start, stages, law, out=twice, comm=comm, resume=False)
    with pytest.raises(AssertionError, match="was started"):
        press(start, other, law, out=twice, comm=comm, overwrite=True)
    comm.Barrier()
    assert (twice / "01_uniaxial.h5").exists()  # until there is something in its place


@pytest.mark.mpi(ranks=2)  # a third has less than 40 spheres
def test_gives_up(shared_path, comm):
    """Would catch a stage that is called done when it is not, or that takes others with it."""
    start = powder()
    press(start, QUICK[:1], HERTZ, out=shared_path, comm=comm)
    hasty = Servo(most_steps=500)
    with pytest.raises(NotConverged, match="Swell did not come to rest") as raised:
        press(start, QUICK, HERTZ, out=shared_path, comm=comm, servo=hasty)
    assert max(raised.value.residuals.values()) > 1
    names = {path.name for path in shared_path.glob("*.h5")}
    comm.Barrier()
    assert names == {"01_uniaxial.h5", "02_swell_unfinished.h5"}
    assert not read(shared_path / "02_swell_unfinished.h5").origin["stages"][-1]["settled"]
    comm.Barrier()
    press(start, QUICK, HERTZ, out=shared_path, comm=comm)
    comm.Barrier()
    assert not (shared_path / "02_swell_unfinished.h5").exists()


@pytest.mark.parametrize("sides", ["periodic", "planes"])
@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_contacts_survive_between_stages(law, sides, tmp_path):
    """Would catch springs or dents lost across periodic sides, or when these become planes."""
    pressed = press(powder(width=24 * um), QUICK[:1], law, out=tmp_path)[0]
    (state,) = tmp_path.glob("*.restart")
    opened = between_planes(pressed) if sides == "planes" else pressed
    with Engine(opened, law, MPI.COMM_SELF, state=state) as engine:
        found = engine.contacts()
    before = {
        (first, second): force
        for first, second, force in zip(
            opened.contacts.first, opened.contacts.second, opened.contacts.forces, strict=True
        )
        if second >= 0
    }
    after = {
        (first, second): force
        for first, second, force in zip(found.first, found.second, found.forces, strict=True)
        if second >= 0
    }
    assert len(before) > 100
    assert after.keys() == before.keys()
    size = np.linalg.norm(list(before.values()), axis=1).mean()
    for pair, force in before.items():
        np.testing.assert_allclose(after[pair], force, atol=1e-3 * size)


@pytest.mark.parametrize("way", [(0, 1), (-1, 0)])
def test_springs_across_sides_are_saved(way, tmp_path):
    """Would catch springs that LAMMPS saves under the names of other spheres.

    It did, once spheres had moved since its last neighbour list. The packing drifts as a whole,
    less than what makes LAMMPS look for neighbours again.
    """
    pressed = press(powder(width=24 * um), QUICK[0], HERTZ, out=tmp_path)[0]
    (state,) = tmp_path.glob("*.restart")
    with Engine(pressed, HERTZ, MPI.COMM_SELF, state=state) as engine:
        engine.run(1)
        speed = 0.006 * np.median(engine.radii) / um  # [um per step]
        engine._local("v")[:, :2] = speed * np.array(way)
        engine.run(10)
        before = engine.contacts()
        drifted = engine.packing(before, {})
        engine.save(tmp_path / "drifted")
    with Engine(drifted, HERTZ, MPI.COMM_SELF, state=tmp_path / "drifted") as engine:
        after = engine.contacts()
    size = np.linalg.norm(before.forces, axis=1).mean()
    np.testing.assert_array_equal(after.second, before.second)
    np.testing.assert_allclose(after.forces, before.forces, atol=1e-3 * size)


@description
class Drying(Stage):
    """A stage that the package does not know: both phases shrink between the planes across z."""

    def axes(self, periodic):
        """Return that planes across z move."""
        return np.array([False, False, True])

    def work(self, engine, servo):
        """Return a shrinkage that differs from phase to phase."""
        return Growth(engine, {"AM": 0.99, "SE": 0.98}, servo)


def test_a_stage_of_a_user(tmp_path):
    """Would catch a press that knows its own stages only, or one phase that shrinks for two."""
    start = powder()
    found = press(start, [QUICK[0], Drying(pressure=20 * MPa)], HERTZ, out=tmp_path)[-1]
    at_rest(found, [2])
    factors = np.where(found.of_phase("AM"), 0.99, 0.98)
    np.testing.assert_allclose(found.radii, factors * start.radii, rtol=1e-12)
    np.testing.assert_allclose(found.lengths[:2], start.lengths[:2], rtol=1e-12)
    assert (tmp_path / "02_drying.h5").exists()


def test_cut_short(tmp_path):
    """Would catch a press that resumes from half a file."""
    start = powder()
    press(start, QUICK[:1], HERTZ, out=tmp_path)
    (state,) = tmp_path.glob("01_uniaxial_*.restart")
    whole = state.read_bytes()
    state.write_bytes(whole[:-100])
    with pytest.raises(InputError, match=rf"{state.name} is damaged: .*remove 01_uniaxial\.h5"):
        press(start, QUICK, HERTZ, out=tmp_path)
    for place in np.random.default_rng(1).integers(len(whole), size=6):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << place % 8
        state.write_bytes(spoiled)
        with pytest.raises(InputError, match=rf"{state.name} is damaged"):
            press(start, QUICK, HERTZ, out=tmp_path)
    state.write_bytes(whole)
    packing = tmp_path / "01_uniaxial.h5"
    packing.write_bytes(packing.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"01_uniaxial\.h5 is damaged, cut off"):
        press(start, QUICK, HERTZ, out=tmp_path)


def test_progress(capsys, monkeypatch):
    """Would catch a press that works for minutes without a word, or cannot be silenced."""
    monkeypatch.setattr("femssb.environment.progress.LOG_INTERVAL", 0.0)
    press(powder(), QUICK, HERTZ, comm=MPI.COMM_SELF)
    lines = capsys.readouterr().err.splitlines()
    assert "1/2 Uniaxial 50 MPa  step      0  pressure off by     100 %" in lines[0]
    assert "2/2 Swell 50 MPa  step " in lines[-1]
    assert lines[-1].endswith("+0.0100 of +0.0100 grown")
    press(powder(), QUICK[:1], HERTZ, comm=MPI.COMM_SELF, progress=False)
    assert not capsys.readouterr().err


def test_no_plane_is_missed(monkeypatch):
    """Would catch a sphere that reaches a plane while LAMMPS looks only at those near it."""
    thickness = []
    for share in (1e3, granular.NEAR):
        monkeypatch.setattr(granular, "NEAR", share)
        stages = [QUICK[0], Isostatic(pressure=5 * MPa)]
        thickness.append(press(powder(), stages, HERTZ, comm=MPI.COMM_SELF)[-1].lengths)
    np.testing.assert_array_equal(*thickness)
    monkeypatch.setattr("femssb.particles.lammps.engine.LOOK", 100)
    with pytest.raises(EngineError, match="ran into a plane"):
        press(powder(), stages, HERTZ, comm=MPI.COMM_SELF)


@pytest.mark.mpi
@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_masses_are_known_across_sides_and_ranks(law, comm):
    """Would catch dashpots that take the old mass of a sphere seen across a side or from a rank."""
    with Engine(powder(), law, comm) as engine:
        engine.run(100)
        engine.radii *= 1.01  # for other masses
        engine.rescale_masses(engine.balance(), 10 * MPa)
        if law is HERTZ:
            engine.run(1)
        count = engine._lammps.extract_setting("nall")
        pointer = engine._lammps.extract_atom("rmass")
        ids = engine._lammps.extract_atom("id")
        found = np.array([pointer[k] for k in range(count)])
        rows = np.array([ids[k] - 1 for k in range(count)])
    assert count > len(np.unique(rows))
    np.testing.assert_allclose(found * 1e-3, engine.masses[rows], rtol=1e-12)


@pytest.mark.mpi(ranks=2)
def test_memory_moves_between_ranks(comm):
    """Would catch a sphere that changes its rank and forgets some of its many contacts."""
    count, middle = 100, np.array([29.0, 29.0, 30.0])  # of ranks: 30 along x or y
    turns = np.arange(count) * np.pi * (1 + np.sqrt(5))
    heights = 1 - (2 * np.arange(count) + 1) / count
    across = np.sqrt(1 - heights**2)
    around = np.column_stack([across * np.cos(turns), across * np.sin(turns), heights])
    packing = Packing(
        positions=np.vstack([middle, middle + 11.4 * around]) * um,
        radii=np.array([10.0] + [1.5] * count) * um,
        phases=[0] + [1] * count,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 60 * um),
        periodic=(True, True, False),
    )
    found = []
    for ranks in (MPI.COMM_SELF, comm):
        with Engine(packing, PLASTIC, ranks) as engine:
            engine.run(1)
            pushed = engine.contacts()
            engine.scale_radii(np.array([0.999, 0.999]))  # nearly parted
            engine._local("v")[:] = [0.6, 0.6, 0.0]  # [um per step]
            engine.run(4)
            found.append(engine.contacts())
    assert len(pushed.first) == count
    for kept in found:
        np.testing.assert_allclose(kept.memory[:, 0], pushed.memory[:, 0], rtol=1e-12)


def test_same_seed_same_packing():
    """Would catch random numbers, times or memory addresses that find their way into a result."""
    one, other = (press(powder(), QUICK[:1], PLASTIC, comm=MPI.COMM_SELF)[0] for _ in range(2))
    np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(one.contacts.forces, other.contacts.forces)


@pytest.mark.mpi(ranks=2)  # a third has less than 40 spheres
@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_ranks_agree(law, comm):
    """Would catch contacts across ranks that are counted twice, lose their dent, or are missed.

    The order of sums differs, and rearrangement makes much of the last digits: the same packings in
    the statistical sense only. The thickness of one scatters by 0.9 %, as it does on one rank when
    positions change in their ninth digit; that of the mean of four by half of it.
    """
    found = []
    for seed in (1, 2, 3, 4)[: 4 if comm.size > 1 else 1]:
        start = powder(width=20 * um, seed=seed)
        alone, together = alone_and_together(
            comm, lambda c, start=start: press(start, QUICK[:1], law, comm=c)[0]
        )
        at_rest(together, [2])
        found.append([_numbers(packing) for packing in (alone, together)])
    (thickness, *others), (more_thickness, *more_others) = np.mean(found, axis=0)
    assert more_thickness == pytest.approx(thickness, rel=0.02)
    np.testing.assert_allclose(more_others, others, rtol=0.1)


@pytest.mark.mpi
def test_any_number_of_ranks(comm):
    """Would catch a rank in the middle, with neighbours on both sides, that loses contacts."""
    start = powder(width=20 * um)
    alone, together = alone_and_together(
        comm, lambda c: press(start, QUICK[:1], PLASTIC, comm=c)[0]
    )
    at_rest(together, [2])
    assert together.lengths[2] == pytest.approx(alone.lengths[2], rel=0.03)  # of a single packing


def _numbers(packing):
    """Return thickness, contacts of a sphere, and stress of both phases along z."""
    stress = particle_stress(packing)[:, 2, 2]
    means = [stress[packing.of_phase(phase)].mean() for phase in ("AM", "SE")]
    return [packing.lengths[2], coordination(packing).sum(), *means]


@pytest.mark.slow
def test_random_close_packing():
    """Would catch friction where there is none, or planes that press before spheres are at rest.

    Without pressure, equal frictionless spheres jam at 0.64 with 6 contacts each, away from the
    planes where they lie in layers. By Hertz's law, the share of volume grows from there with
    pressure^(2/3), and the number of contacts with pressure^(1/3): O'Hern et al. 2003, doi
    10.1103/PhysRevE.68.011306.
    """
    recipe = Recipe(
        components=(
            Component(name="AM", solid=NCM523, share=1.0, sizes=ListedSizes(diameters=(5 * um,))),
        ),
        loading=0.35,
        width=45 * um,
    )
    law = HertzMindlin(solids=SOLIDS, friction=0.0)
    pressures = np.array([10 * MPa, 100 * MPa])
    stages = [Uniaxial(pressure=float(pressure)) for pressure in pressures]
    found = []
    for packing in press(insert(recipe, height=150 * um, seed=4), stages, law):
        heights, shares = solid_profile(packing, bins=400)
        inside = np.abs(heights - heights.mean()) < packing.lengths[2] / 2 - 5 * 5 * um
        middle = (packing.lower[2] + packing.upper[2]) / 2
        off = np.abs(packing.positions[:, 2] - middle)
        bulk = (off < packing.lengths[2] / 2 - 5 * 5 * um) & ~rattlers(packing)
        loaded = packing.contacts.loaded & packing.contacts.between_spheres
        ends = np.concatenate([packing.contacts.first[loaded], packing.contacts.second[loaded]])
        touches = np.bincount(ends, minlength=len(bulk))
        found.append([shares[inside].mean(), touches[bulk].mean()])
    (share, more_share), (contacts, more_contacts) = np.transpose(found)
    scale = 1 / (10 ** (2 / 3) - 1)
    assert share - (more_share - share) * scale == pytest.approx(0.64, abs=0.005)
    scale = 1 / (10 ** (1 / 3) - 1)
    assert contacts - (more_contacts - contacts) * scale == pytest.approx(6.0, abs=0.3)
