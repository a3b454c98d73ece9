"""Beads: their forces in LAMMPS against closed forms, and slurries through a wet route.

If these fail, viscosities, densities and porosities are those of another force field. The tests
worth reading are `test_forces_of_pairs_are_those_of_the_closed_form` and
`test_masses_close_through_slurry_and_drying`.
"""

from __future__ import annotations

import signal
from dataclasses import replace

from mpi4py import MPI

import numpy as np
import pytest

from femssb import library
from femssb.description import description, field
from femssb.errors import EngineError, InputError, Interrupted, NotConverged
from femssb.inputs.beads import Bead, BeadForces, ForceField, lennard_jones
from femssb.library import alabdali2023
from femssb.packing import ListedSizes, Packing, disperse
from femssb.particles import Drying, Slurry, WetStage, ledger, process, summary
from femssb.particles.beads import Kinds, stable_time_step
from femssb.particles.drying import dried
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.processing import porosity
from femssb.particles.wet import Course, until_plateau
from femssb.units import kPa, um

PAPER = alabdali2023.formulation(beads=70)
SMALL = replace(PAPER.components[0], sizes=ListedSizes(diameters=(5 * um,)))
FORMULATION = replace(PAPER, components=(SMALL, *PAPER.components[1:]))  # fits a small box
OURS = replace(FORMULATION, swelling=None)
ROUTE = [
    Slurry(pressure_tolerance=0.3, time_step=3e-8),
    Drying(tolerance=0.05, time_step=1e-9),
]
MICROSECOND = 1e-6


def pair(distance, phases=(0, 2), periodic=(True, True, True), heights=(20.0, 20.0)):
    """Return two beads at a distance along x [m]."""
    radii = np.array([5.0, 1.2, 3.75])[list(phases)] * um
    return Packing(
        positions=np.array([[20, 20, heights[0]], [20, 20, heights[1]]]) * um
        + np.array([[0, 0, 0], [distance, 0, 0]]),
        radii=radii,
        phases=list(phases),
        phase_names=("AM", "SE", "CBD"),
        lower=np.zeros(3),
        upper=np.full(3, 60 * um),
        periodic=periodic,
        masses=1500 * 4 / 3 * np.pi * radii**3,
    )


@pytest.mark.parametrize("phases", [(0, 2), (1, 1), (2, 2), (0, 1)])
@pytest.mark.parametrize("state", ["slurry", "dried"])
def test_forces_of_pairs_are_those_of_the_closed_form(phases, state):
    """Would catch another mixing rule, shift, unit or enlargement than the force field says.

    Lennard-Jones with its force shifted to zero at the cut-off, and Hertz where beads overlap.
    """
    forces = getattr(alabdali2023.H1, state)
    names = tuple(("AM", "SE", "CBD")[phase] for phase in phases)
    diameters = 2 * pair(1 * um, phases).radii
    epsilon, sigma, cutoff = (table[0, 1] for table in forces.pairs(names, diameters))
    a, b = forces.contact_radii(names, diameters)
    for share in (0.88, 1.0, 1.2, 0.99 * cutoff / sigma, 1.01 * cutoff / sigma):
        distance = share * sigma
        expected = lennard_jones(np.array(distance), epsilon, sigma, cutoff)
        if (overlap := a + b - distance) > 0:
            hertz = forces.stiffness * overlap**1.5 * np.sqrt(a * b / (a + b))
            expected = expected + hertz
        with BeadEngine(pair(distance, phases), forces, MPI.COMM_SELF) as engine:
            found = engine.net_forces()
            virial = engine.pressure() * engine.volume()
        scale = 1e-9 * epsilon / sigma
        np.testing.assert_allclose(found[1], [expected, 0, 0], rtol=1e-9, atol=scale)
        np.testing.assert_allclose(found[0], -found[1], atol=scale)
        assert virial == pytest.approx(expected * distance / 3, rel=1e-6, abs=1e-6 * epsilon)


def test_epsilon_and_sigma_by_hand():
    """Would catch factors that are lost on the way: AM of 10 um with 14 %, binder of 7.5 um."""
    diameters = np.array([10.0, 7.5]) * um
    epsilon, sigma, cutoff = alabdali2023.H1.slurry.pairs(("AM", "CBD"), diameters)
    assert epsilon[0, 0] == pytest.approx(11.4e-15)
    assert epsilon[1, 1] == pytest.approx(6.6e-15)
    assert epsilon[0, 1] == pytest.approx(np.sqrt(11.4 * 6.6) * 1e-15)
    assert sigma[0, 1] == pytest.approx((0.99 * 11.4 + 0.97 * 7.5) / 2 * um)
    assert cutoff[1, 1] == pytest.approx(16.5 * um)
    dry = alabdali2023.READINGS["binder by its dry diameter"].slurry
    assert dry.pairs(("CBD",), diameters[1:])[1][0, 0] == pytest.approx(0.97 * 3 * um)
    even = replace(dry, mixing="arithmetic").pairs(("AM", "CBD"), diameters)[0]
    assert even[0, 1] == pytest.approx(9.0e-15)
    assert dry.scaled(depth=0.5).pairs(("CBD",), diameters[1:])[0][0, 0] == pytest.approx(3.3e-15)


@pytest.mark.parametrize("scaling", [1.0, 100.0])
def test_dashpots_keep_their_strength_when_masses_are_scaled(scaling):
    """Would catch viscosities that go with the scale of the masses.

    Normal: gamma_n m_eff sqrt(R h) v, with the true masses.
    """
    forces = alabdali2023.H1.slurry
    start = pair(6.9 * um, (2, 2))
    with BeadEngine(start, forces, MPI.COMM_SELF, mass_scaling=scaling) as engine:
        rest = engine.net_forces()[1, 0]
        engine.set_velocities(np.array([[0.0, 0, 0], [-0.1, 0, 0]]))
        engine.command("run 0 post no")
        moving = engine.net_forces()[1, 0]
    half = start.masses[0] / 2 * np.sqrt(1.875 * um * 0.6 * um)
    # The force is of the half step: it has the velocity of the bead but for its first push.
    assert moving - rest == pytest.approx(forces.damping * half * 0.1, rel=1e-6)


def test_the_time_step_is_estimated_and_one_above_is_refused():
    """Would catch .01 us, at which Table S1 blows up, and an estimate that forbids all of use."""
    start = disperse(FORMULATION, seed=1)
    kinds = Kinds.of(start)
    forces = alabdali2023.H1.slurry
    limit = stable_time_step(forces, kinds.phases, kinds.diameters, kinds.lightest)
    assert 0.002 * MICROSECOND < limit < 0.01 * MICROSECOND
    fast = Slurry(pressure=100 * kPa, time_step=0.01 * MICROSECOND)
    with pytest.raises(InputError, match=r"Slurry.time_step = 1e-08 s is outside \(0, [678]"):
        process(start, fast, FORMULATION, alabdali2023.H1)
    stages = [Slurry(pressure=100 * kPa), Drying(time_step=0.004 * MICROSECOND)]
    with pytest.raises(InputError, match=r"Drying.time_step = 4e-09 s is outside \(0, 1"):
        process(start, stages, FORMULATION, alabdali2023.H1)
    # Masses x 100: ten times longer where springs decide, as they do here.
    heavy = kinds.longest_step(forces, 100.0)
    assert 9 < heavy / limit < 20
    same = replace(forces, damping=forces.damping / 100)
    same = stable_time_step(same, kinds.phases, kinds.diameters, 100 * kinds.lightest)
    assert heavy == pytest.approx(same, rel=1e-12)
    # Dashpots decide for beads that are far too light, in proportion to their masses.
    light = [kinds.longest_step(forces, factor) for factor in (1e-8, 1e-9)]
    assert light[0] / light[1] == pytest.approx(10, rel=1e-2)


@pytest.mark.mpi
def test_a_bead_that_leaves_through_a_plane_is_named(comm):
    """Would catch beads that LAMMPS drops without a word: an electrode that grows lighter."""
    forces = alabdali2023.H1.slurry
    start = pair(20 * um, (0, 2), periodic=(True, True, False), heights=(20.0, 55.0))
    with BeadEngine(start, forces, comm) as engine:
        engine.set_velocities(np.array([[0.0, 0, 0], [0, 0, 5.0]]))
        with pytest.raises(EngineError, match=r"bead 1 \(CBD\) left the box .* by \d.* s \(step"):
            engine.run(4000)


def test_masses_close_through_slurry_and_drying(tmp_path):
    """Would catch solvent that stays, or solids that go; and a second call that begins anew.

    The box of our own set is that of solids and solvent, so its porosity is none; the dried one is
    that of its masses.
    """
    start = disperse(OURS, seed=2)
    slurry, film = process(start, ROUTE, OURS, out=tmp_path, progress=False)
    known = OURS.ledger()
    for packing, solvent in ((start, 1), (slurry, 1), (film, 0)):
        masses = ledger(packing, OURS)
        for name, mass in masses.items():
            there = known[name] * (solvent if name == "p-xylene" else 1)
            assert mass == pytest.approx(there, rel=1e-12)
    wet, dry = (packing.origin["stages"][-1] for packing in (slurry, film))
    assert wet["evaporated [kg]"] == 0
    assert dry["evaporated [kg]"] == pytest.approx(known["p-xylene"], rel=1e-12)
    assert wet["density [kg/m3]"] == pytest.approx(OURS.balance().closed_density, rel=1e-9)
    assert wet["porosity"] == pytest.approx(0, abs=1e-9)
    assert not wet["warnings"]
    pressure = wet["plateaus"]["bead pressure [Pa]"]
    assert 0 < pressure["error"] < 0.3 * pressure["mean"]
    solids = OURS.balance().solids
    assert dry["porosity"] == pytest.approx(1 - solids / np.prod(film.lengths), rel=1e-9)
    assert np.array_equal(film.lengths[:2], slurry.lengths[:2])
    binder = film.of_phase("CBD")
    assert film.radii[binder] == pytest.approx(start.radii[binder] / OURS.swollen(), rel=1e-9)
    assert film.radii[~binder] == pytest.approx(start.radii[~binder])
    assert len(summary(film).splitlines()) >= 3
    again = process(start, ROUTE, OURS, out=tmp_path, resume=True, progress=False)
    assert [p.origin["stages"][-1] for p in again] == [wet, dry]
    other = library.suspension(OURS, viscosity=0.7e-3)
    with pytest.raises(InputError, match=r"holds stages of another process: 01_slurry.h5"):
        process(start, ROUTE, OURS, other, out=tmp_path, progress=False)


@description
class Nudge(WetStage):
    """A stage of a user: a few steps, then all solvent of the first beads of binder is gone."""

    steps: int = field("to take", default=40)
    lost: float = field("share of the mass of one solid that is lost", default=0.0)

    def carry_out(self, packing, formulation, field, comm, show):
        """Do the stage."""
        with BeadEngine(packing, self.forces(field), comm) as engine:
            engine.run(self.steps)
            reached = engine.packing()
            report = engine.report()
        masses = np.array(reached.masses)
        masses[0] *= 1 - self.lost
        return Course(packing=replace(reached, masses=masses), report=report)


@pytest.mark.mpi
def test_a_process_is_the_same_on_all_ranks_and_goes_on(comm, shared_path):
    """Would catch ranks that disagree, files of all of them, and a ledger that loses a solid."""
    start = disperse(FORMULATION, seed=2)
    given = {"out": shared_path / "out", "progress": False, "comm": comm}
    first = process(start, [Nudge()], FORMULATION, alabdali2023.H1, **given)
    both = process(start, [Nudge(), Nudge(steps=20)], FORMULATION, alabdali2023.H1, **given)
    assert np.array_equal(both[0].positions, first[0].positions)
    places = comm.allgather(both[1].positions)
    assert all(np.array_equal(places[0], other) for other in places)
    names = sorted(path.name for path in (shared_path / "out").iterdir() if path.suffix == ".h5")
    assert names == ["01_nudge.h5", "02_nudge.h5"]
    assert both[1].origin["stages"][1]["steps"] == 20
    with pytest.raises(NotConverged, match="Nudge: AM went from"):
        process(start, [Nudge(lost=0.01)], FORMULATION, alabdali2023.H1, comm=comm, progress=False)


@pytest.mark.mpi
def test_a_few_steps_are_the_same_on_any_ranks(comm):
    """Would catch forces that ranks count twice, or not at all, where their domains meet."""
    start = disperse(FORMULATION, seed=3)
    found = []
    for ranks in (comm, MPI.COMM_SELF):
        with BeadEngine(start, alabdali2023.H1.slurry, ranks, drag=0.01) as engine:
            engine.resize(0.6 * start.lengths, 600)
            state = engine.positions(), engine.pressure_tensor(), engine.kinetic_energy()
            found.append(state)
    for one, other in zip(*found, strict=True):
        scale = float(np.max(np.abs(one)))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": []}, "there are no stages"),
        ({"stages": [1]}, "1 is not a stage of a wet route"),
        ({"stages": Drying(), "dry": True}, "beads of 'CBD' have lost their solvent"),
        ({"formulation": replace(FORMULATION, beads=90)}, "is of another formulation"),
        ({"formulation": replace(FORMULATION, solid_content=0.6)}, "is of another formulation"),
        (
            {"swelling": 4.0},
            r"Slurry.pressure = None: the beads have 3.* times the volume of solids and solvent",
        ),
        ({"formulation": 3}, "formulation must be a Formulation"),
        ({"forces": alabdali2023.H1.slurry}, "forces must be a ForceField"),
        ({"masses": None}, "the packing has no masses"),
        ({"periodic": (True, True, False)}, "needs a packing with periodic sides only"),
        ({"resume": True}, "resume needs the folder of the process that was stopped"),
        ({"phase_names": ("A", "B", "C")}, "the packing has phases"),
    ],
)
def test_what_cannot_be_processed_is_named(change, said):
    """Would catch an hour of LAMMPS on a slurry of something else."""
    given = {"stages": Slurry(), "formulation": FORMULATION, "forces": alabdali2023.H1} | change
    if "swelling" in given:
        given["formulation"] = replace(FORMULATION, swelling=given.pop("swelling"))
        given["forces"] = None
        start = disperse(given["formulation"], seed=1)
    else:
        start = disperse(FORMULATION, seed=1)
    if given.pop("dry", False):
        wet = start.of_phase("CBD")
        dry = np.where(wet, start.masses / FORMULATION.wet_share(), start.masses)
        start = replace(start, masses=dry)
    for name in ("masses", "periodic", "phase_names"):
        if name in given:
            start = replace(start, **{name: given.pop(name)})
    with pytest.raises(InputError, match=said):
        process(start, **given)


@description
class Squeeze(WetStage):
    """A stage of a user: the dried beads are put into a flat box."""

    wet = False
    share: float = field("of the height")

    def carry_out(self, packing, formulation, field, comm, show):
        """Do the stage."""
        flat = packing.lower + (packing.upper - packing.lower) * [1, 1, self.share]
        return Course(packing=replace(packing, upper=flat))


def test_solids_that_do_not_fit_the_box_are_warned_of():
    """Would catch a porosity below zero that looks like any other number."""
    dry = dried(disperse(FORMULATION, seed=1), FORMULATION)
    solids = 1 - porosity(dry, FORMULATION)
    for share, warned in ((1.25 * solids, False), (0.8 * solids, True)):
        stage = Squeeze(share=share)
        made = process(dry, stage, FORMULATION, alabdali2023.H1, progress=False)[-1]
        said = " ".join(made.origin["stages"][-1]["warnings"])
        assert ("the porosity is -0.25: solids have 25 % more volume" in said) == warned


@description
class Stopped(WetStage):
    """A stage in which a signal comes."""

    def carry_out(self, packing, formulation, field, comm, show):
        """Do the stage."""

        def measure():
            signal.raise_signal(signal.SIGTERM)
            return 1.0

        with BeadEngine(packing, self.forces(field), comm) as engine:
            seen = until_plateau(
                engine, {"a": measure}, {"a": 0.1}, window=64 * engine.time_step,
                most_steps=1000, show=show,
            )  # fmt: skip
            reached = engine.packing()
        return Course(packing=reached, report={}, outcome=seen.outcome(self, {"a": 0.1}))


def test_a_signal_keeps_what_was_reached(tmp_path, capfd):
    """Would catch a wet stage that cannot be stopped, or loses what was before it."""
    start = disperse(FORMULATION, seed=1)
    stages = [Nudge(), Stopped()]
    with pytest.raises(Interrupted) as stop:
        process(start, stages, FORMULATION, alabdali2023.H1, out=tmp_path, progress=False)
    assert stop.value.code == 143
    names = sorted(path.name for path in tmp_path.glob("*.h5"))
    assert names == ["01_nudge.h5", "02_stopped_unfinished.h5"]
    assert "what this one had reached is in 02_stopped_unfinished.h5" in capfd.readouterr().err


def test_a_force_field_without_a_phase_is_refused():
    """Would catch beads that LAMMPS lets through each other."""
    bead = Bead(depth=1e-9)
    forces = BeadForces(beads={"AM": bead}, stiffness=1.0, damping=1.0, friction=0.1)
    with pytest.raises(InputError, match="no bead for phase 'SE'"):
        process(
            disperse(FORMULATION, seed=1),
            Slurry(),
            FORMULATION,
            ForceField(slurry=forces, dried=forces),
        )


def test_a_viscous_liquid_does_not_hide_the_pressure_at_rest():
    """Would catch a plateau that is none: dashpots that hold the beads where they were put.

    The pressure at rest does not depend on the liquid.
    """
    start, found = disperse(OURS, seed=1), []
    for viscosity in (1e-3, 1.0):
        forces = library.suspension(OURS, viscosity=viscosity)
        stage = Slurry(pressure_tolerance=0.1)
        made = process(start, stage, OURS, forces, progress=False)[-1].origin["stages"][-1]
        found.append(made["plateaus"]["bead pressure [Pa]"]["mean"])
    assert found[1] == pytest.approx(found[0], rel=0.25)


def test_what_a_report_warns_of():
    """Would catch tangential springs that belong to two contacts, of a bead and its image.

    And a report that keeps quiet on a slurry whose beads and box are not as large as each other.
    """
    few = alabdali2023.formulation(beads=30)
    stage = Slurry(pressure=1 * kPa, tolerance=0.4)
    made = process(disperse(few, seed=1), stage, few, alabdali2023.H1, progress=False)[-1]
    warnings = made.origin["stages"][-1]["warnings"]
    balance = few.balance(box=float(np.prod(made.lengths)))
    assert balance.warnings
    assert warnings[:-1] == list(balance.warnings)
    assert "the box is narrow" in warnings[-1]
    assert "warning: the volume balance does not close" in summary(made)


def test_no_plateau_is_no_result(tmp_path):
    """Would catch a stage that ends by its count of steps; what it reached is in the folder."""
    stage = Slurry(pressure=100 * kPa, most_steps=3000)
    with pytest.raises(NotConverged, match="Slurry: no plateau within most_steps = 3000"):
        process(
            disperse(FORMULATION, seed=1),
            stage,
            FORMULATION,
            alabdali2023.H1,
            out=tmp_path / "out",
            progress=False,
        )
    assert [path.name for path in sorted((tmp_path / "out").glob("*.h5"))] == [
        "01_slurry_unfinished.h5"
    ]


def test_a_stage_of_no_kind_is_refused_before_any_work():
    """Catches NotImplementedError, and slurries that are made before it."""
    start = disperse(FORMULATION, seed=2)
    with pytest.raises(InputError, match="process: WetStage does nothing"):
        process(start, WetStage(), FORMULATION, alabdali2023.H1, progress=False)
