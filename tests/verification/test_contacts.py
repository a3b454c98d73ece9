"""Particles that touch, against ladders of resistors and balances of lithium.

If these fail, electrons take another way through a resolved cell than its contacts allow, or
lithium leaks from one particle into another. Worth reading: `test_ladder`.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb.cell.cohesion import Cohesion
from femssb.cell.coupling import snapped
from femssb.cell.model import Couplings, Model
from femssb.cell.surfaces import CONTACT, INTERFACE, SEPARATOR
from femssb.errors import InputError, MeshError
from femssb.inputs.boundary import Fixed, Pressure
from femssb.inputs.curves import Curve
from femssb.inputs.geometry import Polycrystal
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    GrainBoundaries,
    ParticleContacts,
)
from femssb.inputs.protocol import Charge
from femssb.meshing.resolved_cell import Healing, ResolvedCell
from femssb.run import checkpoint
from femssb.run.readout import Readout
from femssb.run.simulation import Simulation
from femssb.run.stepper import Past, Position
from femssb.units import MPa, nm, um
from tests.runs import read
from tests.verification.half_cells import EXACT, constant, lopsided, step
from tests.verification.stacks import EDGE, stack

ELECTROCHEMISTRY = Couplings(
    expansion=False, stress_drift=False, gap_resistance=False, debonding=False
)
AREA = EDGE**2
DENSITY = 50.0  # [A/m2]
CHAIN = [["particle_1"], ["particle_2"], ["ecbd"], ["electrolyte"]]
# Two particles side by side on the collector, both with an interface; one reaches across the sides.
BESIDE = [
    3 * ["particle_1"],
    ["particle_1", "particle_2", "particle_1"],
    3 * ["ecbd"],
    3 * ["ecbd"],
]
# The same, with three grains around lines, and a boundary that ends at the second particle.
GRAINS = [
    ["particle_1_grain_1", "particle_1_grain_2", "particle_1_grain_1"],
    ["particle_1_grain_3", "particle_2", "particle_1_grain_3"],
    *BESIDE[2:],
]
HARD = CohesiveLaw(
    normal_strength=np.inf,
    shear_strength=np.inf,
    normal_fracture_energy=np.inf,
    shear_fracture_energy=np.inf,
    stiffness=1e16,
)
RISING = Curve(
    function=lambda c: np.exp(c / 20000.0),
    slope=lambda c: np.exp(c / 20000.0) / 20000.0,
    lower=0.0,
    upper=1e5,
)
VARIABLE = {"diffusivity_factor": (RISING, constant(2.0), RISING)}


def closed(value, decay_length=np.inf):
    """Return a contact resistance."""
    return ContactResistance(closed=value, decay_length=decay_length)


def conducting(particles=0.1, *, ecbd=0.0, contact=2e-4, collector=1e-4, decay=np.inf, **more):
    """Return materials with electrons in the particles, and in the ecbd if it conducts them."""
    materials = lopsided()
    return replace(
        materials,
        active=replace(materials.active, electronic_conductivity=particles),
        ecbd=replace(materials.ecbd, electronic_conductivity=ecbd),
        contacts=ParticleContacts(resistance=closed(contact, decay), collector=collector, **more),
    )


def charged(names, materials):
    """Return model, state, and where the power goes, after a tenth of a second of charge."""
    model = Model(stack(names), materials, linear_solver=EXACT, couplings=ELECTROCHEMISTRY)
    state, _ = step(model, model.initial_state(), 0.1, current=DENSITY * AREA)
    powers = model.currents.powers(model.electrochemical(state), state.gap, state.layer)
    assert sum(asdict(powers).values()) == pytest.approx(state.voltage * state.current, rel=1e-9)
    return model, state, powers


@pytest.mark.mpi(ranks=2)
def test_ladder():
    """Would catch a contact that is doubled, lost or bypassed, and a loss left out of the ledger.

    Collector - P1 - P2, of which P2 alone reacts: two contacts and two lengths in series.
    """
    voltages, ohms = [], []
    for conductivity, contact, collector in ((0.1, 2e-4, 1e-4), (0.05, 1e-2, 1e-3)):
        materials = conducting(conductivity, contact=contact, collector=collector)
        model, state, powers = charged(CHAIN, materials)
        within = contact + collector + materials.resistance.closed
        assert powers.electronic == pytest.approx(
            DENSITY**2 * AREA * 2 * EDGE / conductivity, rel=1e-9
        )
        assert powers.contact == pytest.approx(DENSITY**2 * AREA * within, rel=1e-9)
        voltages.append(state.voltage)
        ohms.append(2 * EDGE / conductivity + contact + collector)
    assert np.diff(voltages) == pytest.approx(DENSITY * np.diff(ohms), rel=1e-9)
    assert model.cut_off.inert == (0,)  # P1 touches no electrolyte
    assert any("No path of ions reaches 1 of 2 particles (1," in each for each in model.warnings)


@pytest.mark.mpi(ranks=2)
def test_electrons_in_both():
    """Would catch electrons that do not get through a particle, or into it past its resistance.

    Collector - carbon - particle, which reacts on top only: what is below has no way for ions.
    """
    voltages, ohms = [], []
    for ecbd, conductivity, carbon in ((2e-2, 0.1, 1e-4), (5e-3, 0.03, 2e-3)):
        materials = conducting(conductivity, ecbd=ecbd, carbon=closed(carbon))
        _, state, powers = charged([["ecbd"], ["particle_1"], ["ecbd"], ["electrolyte"]], materials)
        lengths = EDGE / ecbd + EDGE / conductivity
        assert powers.electronic == pytest.approx(DENSITY**2 * AREA * lengths, rel=1e-9)
        contacts = carbon + materials.resistance.closed
        assert powers.contact == pytest.approx(DENSITY**2 * AREA * contacts, rel=1e-9)
        voltages.append(state.voltage)
        ohms.append(lengths + carbon)
    assert np.diff(voltages) == pytest.approx(DENSITY * np.diff(ohms), rel=1e-9)


def per_particle(model, state):
    """Return lithium times F in each particle [C], and the current that leaves each [A]."""
    bodies, electrochemistry = model.bodies, model.electrochemistry
    nodes = bodies.scalars.dofmap.list
    of_cell = bodies.particle_of(bodies.domains["lithium"].cell_tags)
    particle = np.zeros(electrochemistry.node_charge.size, np.int64)
    for k in (0, 1):
        mine = np.unique(nodes[of_cell == k])
        particle[mine[mine < particle.size]] = k
    charge = electrochemistry.node_charge * model.stoichiometry(state)
    currents = model.interface_current(state).current * bodies.points[INTERFACE].weights
    at = bodies.particles_at(INTERFACE)
    return np.array(
        [
            [bodies.sum(charge[particle == k]) for k in (0, 1)],
            [bodies.sum(currents[at == k]) for k in (0, 1)],
        ]
    )


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("changes", [{}, VARIABLE], ids=["constant", "variable"])
@pytest.mark.parametrize("permeability", [0.0, 1e-6])
def test_lithium_of_each_particle(permeability, changes):
    """Would catch lithium that leaks through a contact that blocks it, or is lost in one.

    Also where the diffusivity varies: cells of two particles share nodes, but no lithium.
    """
    materials = conducting(ecbd=0.0, contact=0.05, permeability=permeability)
    materials = replace(materials, active=replace(materials.active, **changes))
    model = Model(stack(BESIDE), materials, linear_solver=EXACT, couplings=ELECTROCHEMISTRY)
    start = model.initial_state()
    size = 5.0
    state, _ = step(model, start, size, current=3 * DENSITY * AREA)
    (before, _), (after, currents) = per_particle(model, start), per_particle(model, state)
    lost = before - after - size * currents
    assert lost.sum() == pytest.approx(0.0, abs=1e-12 * before.sum())
    assert currents[1] < 0.9 * currents[0] / 2  # it stands on the collector by a contact alone
    if permeability:
        assert lost[1] > 1e-4 * before.sum()  # P2 gives lithium to P1, whose current is larger
    else:
        assert lost == pytest.approx(0.0, abs=1e-12 * before.min())


@pytest.mark.parametrize("drift_volume", [2e-6, None])
def test_constant_factors(drift_volume):
    """Would catch a factor that counts at the wrong node where particles that touch share one."""
    cohesive = replace(HARD, stiffness=1e15)
    plain = conducting(contact=0.01, permeability=1e-8, decay=10 * nm, cohesive=cohesive)
    active = replace(plain.active, drift_volume=drift_volume)
    elasticity = replace(active.elasticity, young_modulus=active.elasticity.young_modulus / 2)
    diffusivity = tuple(3 * along for along in active.diffusivity)
    found = []
    for one in (
        replace(active, diffusivity=diffusivity, elasticity=elasticity),
        replace(active, diffusivity_factor=constant(3.0), stiffness_factor=constant(0.5)),
    ):
        model = Model(stack(BESIDE), replace(plain, active=one), linear_solver=EXACT)
        state, _ = step(model, model.initial_state(1e-12), 5.0, current=3 * DENSITY * AREA)
        found.append(seen(model, state))
        assert np.ptp(state.pull) > 1.0
    np.testing.assert_allclose(*found, rtol=1e-8)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(BESIDE, id="particles", marks=pytest.mark.mpi),
        pytest.param(GRAINS, id="grains", marks=pytest.mark.mpi(ranks=2)),
    ],
)
def test_ranks_agree(names, comm, shared_path):
    """Would catch a contact, or a boundary, between ranks that only one of them, or none, has.

    Also a checkpoint that mixes up the particles that share a place, written on one rank, and
    coefficients that follow the lithium of another particle there.
    """
    cohesive = replace(HARD, stiffness=1e15)
    materials = conducting(contact=0.01, permeability=1e-8, decay=10 * nm, cohesive=cohesive)
    active = replace(materials.active, drift_volume=None, stiffness_factor=RISING, **VARIABLE)
    tough = replace(cohesive, normal_strength=1e10, normal_fracture_energy=1e5)
    boundaries = GrainBoundaries(cohesive=tough, permeability=1e-7, decay_length=10 * nm)
    materials = replace(materials, active=active, grain_boundaries=boundaries)
    found, path = [], shared_path / "checkpoint.npz"
    for ranks in (MPI.COMM_SELF, comm):
        model = Model(stack(names, ranks), materials, linear_solver=EXACT)
        start = model.initial_state()
        state, _ = step(model, start, 5.0, current=3 * DENSITY * AREA)
        found.append(seen(model, state))
        if ranks is MPI.COMM_SELF and comm.rank == 0:
            past = tuple(Past(state=one, charge=0.0) for one in (start, state))
            position = Position(index=0, start=past[0], past=past[::-1], row=1, first_row=0)
            case = checkpoint.case_of(model, [Charge(c_rate=1.0, until_voltage=4.3)])
            checkpoint.write(path, checkpoint.content(model, case, position, {}))
    comm.barrier()
    _, document, arrays = checkpoint.load(shared_path)
    again = checkpoint.position_of(path, model, document, arrays)
    found.append(seen(model, again.past[0].state))
    np.testing.assert_allclose(found[1:], found[:1] * 2, rtol=1e-9)


def seen(model, state):
    """Return voltage, mean opening [nm], and lithium and current of each particle [C, A]."""
    mean = model.bodies.sum(model.bodies.weights * state.jump[:, 0])
    return [state.voltage, mean / AREA / nm, *per_particle(model, state).ravel()]


def test_columns_of_contacts():
    """Would catch contacts among the statistics of the interface, and a particle without any."""
    materials = conducting(cohesive=HARD)
    model = Model(stack(CHAIN), materials, anode=Pressure(pressure=-5 * MPa), linear_solver=EXACT)
    state = model.initial_state()
    row = read(model, state)
    assert row["Mean contact gap [m]"] == pytest.approx(5 * MPa / HARD.stiffness, rel=1e-4)
    assert row["Maximum contact gap [m]"] == pytest.approx(5 * MPa / HARD.stiffness, rel=1e-4)
    assert row["Failed contact area fraction"] == 0.0
    opened = 5 * MPa / materials.cohesive.stiffness
    assert row["Mean gap [m]"] == pytest.approx(opened, rel=1e-4)
    assert np.isnan(row["Mean gap of particle 1 [m]"])
    assert row["Mean gap of particle 2 [m]"] == row["Mean gap [m]"]
    snapshot = Readout(model).snapshot(state, "start")
    assert "Electronic potential [V]" in snapshot.particle.point_data
    assert len(snapshot.particle.points) == 4 * 2 * 2  # both sides of the contact
    fields = snapshot.contact.cell_data
    assert fields["Normal traction [Pa]"] == pytest.approx(5 * MPa, rel=1e-4)
    assert fields["Gap [m]"] == pytest.approx(5 * MPa / HARD.stiffness, rel=1e-4)
    state, _ = step(model, state, 0.1, current=DENSITY * AREA)
    fields = Readout(model).snapshot(state, "charged").contact.cell_data
    # The current comes in at the collector, and passes from P1 to P2: out of the lower number.
    assert fields["Contact current [A/m2]"] == pytest.approx(DENSITY, rel=1e-4)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("order", [1, 2])
def test_cohesive_contact(order):
    """Would catch a contact that is bonded, of the wrong sign, or whose gap resists nothing."""
    pulled = 5 * MPa
    materials = conducting(decay=1 * nm, cohesive=HARD)
    materials = replace(materials, cohesive=replace(HARD, stiffness=1e18))
    model = Model(
        stack(CHAIN),
        materials,
        anode=Pressure(pressure=-pulled),
        collector=Fixed(),
        linear_solver=EXACT,
        couplings=replace(ELECTROCHEMISTRY, gap_resistance=True),
        displacement_order=order,
    )
    start = model.initial_state(1e-12)
    jumps = model.bodies.split(start.jump)
    opened = pulled / HARD.stiffness
    np.testing.assert_allclose(jumps[CONTACT][:, 0], opened, rtol=1e-6)
    np.testing.assert_allclose(jumps[CONTACT][:, 1:], 0.0, atol=1e-6 * opened)
    state, _ = step(model, start, 0.1, current=DENSITY * AREA)
    powers = model.currents.powers(model.electrochemical(state), state.gap, state.layer)
    gap = opened, pulled / 1e18
    lengths = 1 * nm, materials.resistance.decay_length
    closed_ones = 2e-4, materials.resistance.closed
    resistances = [r * np.exp(g / d) for r, g, d in zip(closed_ones, gap, lengths, strict=True)]
    expected = DENSITY**2 * AREA * (1e-4 + sum(resistances))
    assert powers.contact == pytest.approx(expected, rel=1e-6)


def test_what_a_contact_frees_is_counted():
    """Would catch a contact that snaps, of whose energy nothing is said.

    It tears in one step from an opening d, where its traction is k d, to D: the bodies give k d D/2
    to each area, of which it dissipates its energy.
    """
    energy, before, after = 1.0, 5 * nm, 100 * nm
    law = CohesiveLaw(
        normal_strength=100 * MPa,
        shear_strength=100 * MPa,
        normal_fracture_energy=energy,
        shear_fracture_energy=energy,
        stiffness=1e16,
    )
    model = Model(stack(CHAIN), conducting(cohesive=law), linear_solver=EXACT)
    start, bodies = model.initial_state(), model.bodies
    at_contact = np.concatenate(
        [np.full(len(bodies.points[name].weights), name == CONTACT) for name in bodies.cohesive]
    )
    opened = np.outer(at_contact, [1.0, 0.0, 0.0])
    nothing = np.zeros(len(at_contact))
    torn = Cohesion(
        traction=np.zeros(opened.shape),
        tangent=np.zeros((*opened.shape, 3)),
        damage=1.0 * at_contact,
        spent=1.0 * at_contact,
        dissipated=energy * at_contact,
        viscous=nothing,
    )
    lost = snapped(model, replace(start, jump=before * opened), after * opened, torn)
    assert lost == pytest.approx((0.5 * law.stiffness * before * after - energy) * AREA, rel=1e-9)


def test_bonded_contact_carries_traction():
    """Would catch particles that come apart although nothing was said about their cohesion."""
    model = Model(
        stack(CHAIN), conducting(), anode=Pressure(pressure=-5 * MPa), linear_solver=EXACT
    )
    model.initial_state()
    assert CONTACT not in model.bodies.cohesive
    assert not model.bodies.pieces["displacement"]


def test_particles_without_electrons_are_named():
    """Would catch a particle that floats: an error of the solver, or any potential."""
    around = 3 * ["ecbd"]
    names = [["ecbd", f"particle_{k}", "ecbd"] for k in (1, 2)]
    names = [names[0], around, names[1], around]
    model = Model(stack(names), conducting(), linear_solver=EXACT, couplings=ELECTROCHEMISTRY)
    assert model.cut_off.electrons == (1,)
    assert any("No path of electrons reaches 1 of 2 particles (2," in one for one in model.warnings)
    start = model.initial_state()
    state, _ = step(model, start, 5.0, current=DENSITY * AREA)
    before, after = per_particle(model, start), per_particle(model, state)
    assert after[0, 1] == pytest.approx(before[0, 1], rel=1e-13)
    assert after[1] == pytest.approx([DENSITY * AREA, 0.0], rel=1e-9)


@pytest.mark.parametrize("conductivity", [0.0, 0.1])
def test_separator(conductivity):
    """Would catch insertion where there are no electrons, or none where there are."""
    materials = conducting(conductivity) if conductivity else lopsided()
    data = stack([["ecbd", "particle_1", "ecbd"], 3 * ["electrolyte"]])
    model = Model(data, materials, linear_solver=EXACT, couplings=ELECTROCHEMISTRY)
    state, _ = step(model, model.initial_state(), 0.1, current=DENSITY * AREA)
    currents = model.interface_current(state).current
    weights = np.concatenate([model.bodies.points[name].weights for name in model.bodies.outside])
    at_side = model.bodies.points[INTERFACE].weights.size
    assert model.bodies.outside == [INTERFACE, SEPARATOR]
    assert weights @ currents == pytest.approx(DENSITY * AREA, rel=1e-9)
    through = weights[at_side:] @ currents[at_side:]
    if conductivity:
        assert through > 0.2 * DENSITY * AREA
    else:
        assert through == 0.0
        assert any("touch the separator" in each for each in model.warnings)


def test_a_resolved_cell_says_which_particles_lack_ions():
    """Would catch what a packing says that is forgotten, and electrons that move elsewhere."""
    healing = Healing(
        spheres=(1, 2),
        shift=(0.0, 0.0),
        moves=2 * ((0.0, 0.0, 0.0),),
        nominal_volume=1e-16,
        volume=1e-16,
        healed_volume=1e-16,
        electrolyte=0.5,
        voids=0.1,
        without_ions=(1,),
    )
    cell = ResolvedCell(
        width=9 * um,
        depth=9 * um,
        cathode=9 * um,
        particles=tuple(Polycrystal(radius=2 * um, centre=(x, 0, 4 * um)) for x in (0, -4.4 * um)),
        smallest=0.1 * um,
        electrons="particles",
        healing=healing,
    )
    data = replace(stack(BESIDE), origin={"cell": cell})
    assert Model(data, conducting()).cut_off.ions == (1,)
    with pytest.raises(InputError, match=r"electrons = 'particles', but .* say 'both'"):
        Model(data, conducting(ecbd=1.0, carbon=closed(1e-3)))


def test_what_has_no_law_is_refused():
    """Would catch particles glued together in silence, and electrons without a source."""
    data = stack(CHAIN)
    with pytest.raises(MeshError, match=r"particles touch each other .* no law"):
        Model(data, lopsided())
    around = 3 * ["ecbd"]
    model = Model(stack([around, ["ecbd", "particle_1", "ecbd"], around]), conducting())
    with pytest.raises(MeshError, match="no particle can react"):
        Simulation(model, [Charge(c_rate=1.0, until_voltage=4.3)])
    with pytest.raises(InputError, match=r"Materials\.contacts\.carbon is missing"):
        conducting(ecbd=1.0)
    with pytest.raises(InputError, match=r"ParticleContacts\.resistance\.closed"):
        conducting(contact=0.0)
