"""Several active materials in one cell: if these fail, a particle has the properties of another.

Worth reading: `test_a_slow_charge_follows_the_mixture`, which knows no mesh, and
`test_which_material_is_the_first_does_not_matter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest
from scipy.optimize import brentq

from femssb import (
    ActiveMaterial,
    ActivePhase,
    Charge,
    Curve,
    Discharge,
    Elasticity,
    GrainBoundaries,
    HalfCell,
    InputError,
    InsertionKinetics,
    Materials,
    Model,
    ParticleContacts,
    Polycrystal,
    Rest,
    Simulation,
    Solution,
    library,
    mesh,
)
from femssb import __main__ as cli
from femssb.inputs.interfaces import ContactResistance
from femssb.meshing import MeshData
from femssb.results.quantities import BLEND_COLUMNS
from femssb.units import FARADAY, GPa, um
from tests.ranks import alone_and_together
from tests.runs import ALONE, COUPLED, STEPS, TIGHT, TIMED
from tests.verification.stacks import EDGE, stack

NAMES = ["particle", "ecbd", "particle_2", "ecbd"]
PAPER = library.yuan2023.materials()


def apart(comm: MPI.Comm = MPI.COMM_WORLD, names: list[str] = NAMES) -> MeshData:
    """Return two cubes of active material that do not touch, each of two grains across z."""
    return stack([["ecbd"] * 4, names, names, ["ecbd"] * 4, ["electrolyte"] * 4], comm)


def phosphate() -> ActivePhase:
    """Return a second material, in which everything is another, with a curve for each axis."""
    full = 22800.0
    strain = [
        Curve.from_callable(lambda c, k=k: k * c / full, lower=0.0, upper=full)
        for k in (0.012, 0.02, -0.004)
    ]
    return ActivePhase(
        active=ActiveMaterial(
            initial_concentration=0.9 * full,
            maximum_concentration=full,
            nominal_capacity=0.95 * full,
            diffusivity=(2e-15, 6e-15, 4e-15),
            diffusivity_factor=Curve.from_callable(lambda c: 0.5 + c / full, lower=0.0, upper=full),
            drift_volume=None,
            open_circuit_voltage=Curve.from_callable(
                lambda c: 4.1 - 0.5 * c / full, lower=0.05 * full, upper=full
            ),
            entropic_coefficient=Curve.from_callable(
                lambda c: 1e-4 * c / full, lower=0.0, upper=full
            ),
            expansion=tuple(strain),
            elasticity=Elasticity(young_modulus=120 * GPa, poisson_ratio=0.25),
            stiffness_factor=Curve.from_callable(
                lambda c: 1.0 + 0.2 * c / full, lower=0.0, upper=full
            ),
        ),
        kinetics=InsertionKinetics(rate_constant=3e-11, anodic_transfer=0.4),
    )


def blend(first: ActivePhase, **others: ActivePhase) -> Materials:
    """Return the paper's materials with other active ones."""
    return replace(PAPER, active=first.active, kinetics=first.kinetics, others=others)


def run(model: Model, protocol: Any = TIMED) -> Mapping[str, np.ndarray]:
    """Return the series of a run with given steps."""
    found = Simulation(model, protocol, stepping=STEPS, tolerances=TIGHT).run(progress=False)
    return found.series


def different(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], within: float
) -> list[str]:
    """Return the columns in which two runs differ, but for counts of iterations and of errors.

    How the voltage at rest and the loss of concentration share their sum depends on whose mean
    lithium is taken: compared is what both are together.
    """
    split = {"Reversible power [W]", "Concentration loss [W]"}
    pairs = {
        name: (one[name], other[name])
        for name in one.keys() & other.keys() - split
        if "iterations" not in name and "error" not in name
    }
    first, second = (
        each["Reversible power [W]"] - each["Concentration loss [W]"] for each in (one, other)
    )
    pairs["Reversible power less loss of concentration [W]"] = first, second
    return [
        name
        for name, (a, b) in pairs.items()
        if not np.abs(a - b).max() <= within * np.abs(a).max()
    ]


def test_two_equal_materials_are_one():
    """Catches a sum that leaves out a material, or a field that has that of the first."""
    alone = ActivePhase(active=PAPER.active, kinetics=PAPER.kinetics)
    boundaries = GrainBoundaries(permeability=1e-7)
    given = replace(PAPER, grain_boundaries=boundaries)
    data = apart(names=["particle_1_grain_1", "ecbd", "particle_2_grain_1", "ecbd"])
    one = run(Model(data, given))
    other = run(Model(data, replace(given, others={"particle_2": alone})))
    assert different(one, other, 1e-12) == []
    assert set(other) - set(one) == set(BLEND_COLUMNS)
    assert np.abs(other["Power ledger error [-]"]).max() < 1e-6


@pytest.mark.mpi(ranks=2)
def test_which_material_is_the_first_does_not_matter():
    """Catches a property that is taken from `Materials.active` for all particles."""
    paper = ActivePhase(active=PAPER.active, kinetics=PAPER.kinetics)
    data = apart()
    one = run(Model(data, blend(paper, particle_2=phosphate()).starting_at(3.75)))
    other = run(Model(data, blend(phosphate(), particle_1=paper).starting_at(3.75)))
    assert different(one, other, 1e-9) == []
    for name in ("Reversible power [W]", *BLEND_COLUMNS):
        assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-12), name
    for series in (one, other):
        assert np.abs(series["Power ledger error [-]"]).max() < 1e-6
        assert np.abs(series["Lithium ledger error [-]"]).max() < 1e-12


def test_each_material_strains_and_stiffens_by_its_own_curves():
    """Catches the strain or stiffness of one material in the other's particle.

    One has a curve for each axis, the other a single one.
    """
    full = phosphate().active
    model = Model(apart(), blend(phosphate(), particle_2=_rest_of(PAPER)).starting_at(3.75))
    x = model.electrochemical(model.initial_state())
    values = model.expansion(x).reshape(3, -1)
    for active, nodes in model.bodies.active_nodes():
        strain = active.chemical_strain(np.array([active.initial_concentration]))
        rows = np.zeros((3, 1))
        rows[: len(strain)] = strain
        assert values[:, nodes] == pytest.approx(np.repeat(rows, len(nodes), axis=1), abs=1e-15)
    factor = model.stiffness_factor(x)
    inside = model.bodies.in_cells(
        lambda active, mean: np.full(len(mean), active.maximum_concentration), values[0]
    )
    wanted = np.where(
        inside == full.maximum_concentration,
        1 + 0.2 * model.materials.active.initial_concentration / full.maximum_concentration,
        1.0,
    )
    assert factor == pytest.approx(wanted, rel=1e-12)


def _rest_of(materials: Materials) -> ActivePhase:
    return ActivePhase(active=materials.active, kinetics=materials.kinetics)


def fast(active: ActiveMaterial) -> ActivePhase:
    """Return a material that never strays from equilibrium at a thousandth of 1C."""
    return ActivePhase(
        active=replace(active, diffusivity=(1e-11, 1e-11, 1e-11), diffusivity_factor=None),
        kinetics=InsertionKinetics(rate_constant=1e-6, anodic_transfer=0.5),
    )


def stored(phases: list[ActivePhase], voltage: float) -> np.ndarray:
    """Return the lithium of each material, for each a cube or two, at one potential [mol]."""
    found = []
    for phase in phases:
        curve, full = phase.active.open_circuit_voltage, phase.active.maximum_concentration

        def excess(c, curve=curve):
            return float(curve.value(np.array([c]))[0]) - voltage

        found.append(2 * EDGE**3 * brentq(excess, 1e-3 * full, full, xtol=1e-9))
    return np.array(found)


def test_a_slow_charge_follows_the_mixture():
    """Catches a wrong capacity, 1C, lithium, or potential that differs between particles.

    The voltage for a charge passed follows from two curves and two volumes alone.
    """
    phases = [fast(PAPER.active), fast(phosphate().active)]
    materials = replace(
        blend(phases[0], lfp=phases[1]),
        resistance=ContactResistance(closed=0.0, decay_length=np.inf),
        ecbd=replace(PAPER.ecbd, ionic_conductivity=10.0),
        electrolyte=replace(PAPER.electrolyte, ionic_conductivity=10.0),
        anode=replace(PAPER.anode, exchange_current=1e5),
    )
    materials = replace(materials, others={"particle_2": phases[1]}).starting_at(3.75)
    model = Model(apart(), materials, couplings=ALONE)
    start = stored(phases, 3.75)
    assert model.lithium_initial == pytest.approx(start.sum(), rel=1e-9)
    capacity = 2 * EDGE**3 * sum(phase.active.capacity for phase in phases)
    assert model.one_c == pytest.approx(FARADAY * capacity / 3600, rel=1e-9)
    protocol = [
        Charge(c_rate=1e-3, until_duration=0.3 * 3.6e6),
        Discharge(c_rate=1e-3, until_duration=0.2 * 3.6e6),
    ]
    solution = Simulation(model, protocol).run(progress=False)
    series = solution.series
    passed = -series["Discharge capacity [C]"] / FARADAY
    assert passed.max() == pytest.approx(0.3 * capacity, rel=1e-6)
    for row in range(1, len(passed)):

        def excess(voltage, row=row):
            return stored(phases, voltage).sum() - start.sum() + passed[row]

        voltage = brentq(excess, 3.62, 4.07, xtol=1e-12)
        assert series["Voltage [V]"][row] == pytest.approx(voltage, abs=2e-5)
        each = [series[f"Lithium in particle {k} [mol]"][row] for k in (1, 2)]
        assert each == pytest.approx(stored(phases, voltage), rel=5e-5)


@pytest.mark.mpi(ranks=2)
def test_particles_that_start_apart_meet_at_one_potential():
    """Catches lithium that is not exchanged at rest, is lost, or a start that is no state."""
    phases = [fast(PAPER.active), fast(phosphate().active)]
    low, high = (p.active.starting_at(v) for p, v in zip(phases, (3.7, 3.9), strict=True))
    ends = [replace(p, active=a) for p, a in zip(phases, (low, high), strict=True)]
    model = Model(apart(), blend(ends[0], particle_2=ends[1]), couplings=ALONE)
    assert any("from 3.7 to 3.9 V" in sentence for sentence in model.warnings)
    start = model.initial_state()
    assert 3.7 < start.voltage < 3.9
    assert start.current == 0.0
    x = model.electrochemical(start)
    current = model.currents.cell(x, start.gap, start.layer)
    assert abs(current) < 1e-6 * model.one_c
    assert model.stoichiometry(start) == pytest.approx(
        model.bodies.at_nodes(lambda a, _: a.initial_concentration / a.maximum_concentration)[
            : model.electrochemistry.node_charge.size
        ],
        rel=1e-12,
    )
    series = Simulation(model, [Rest(until_duration=3e4)]).run(progress=False).series
    total = [series[f"Lithium in particle {k} [mol]"] for k in (1, 2)]
    assert np.ptp(sum(total)) < 1e-9 * sum(total)[0]
    voltage = brentq(lambda v: stored(phases, v).sum() - sum(total)[0], 3.62, 4.07)
    assert series["Voltage [V]"][-1] == pytest.approx(voltage, abs=1e-5)
    assert [one[-1] for one in total] == pytest.approx(stored(phases, voltage), rel=1e-5)


@pytest.mark.mpi(ranks=3)
def test_ranks_agree(comm):
    """Catches points of a material that a rank counts twice, or leaves out."""
    given = blend(_rest_of(PAPER), particle_2=phosphate()).starting_at(3.75)
    alone, together = alone_and_together(comm, lambda on: run(Model(apart(on), given), TIMED[:1]))
    assert different(alone, together, 1e-7) == []


def test_lithium_passes_no_contact_of_two_materials():
    """Catches lithium that passes by concentration alone, which knows nothing of two hosts."""
    names = ["particle", "particle_2", "particle_3", "ecbd"]
    contacts = ParticleContacts(
        resistance=ContactResistance(closed=1e-3, decay_length=1e-9),
        collector=1e-3,
        permeability=1e-5,
    )
    paper = _rest_of(PAPER)
    given = replace(blend(paper, particle_3=phosphate()).starting_at(3.8), contacts=contacts)
    model = Model(apart(names=names), given, coverage={"interface": 0.0}, couplings=ALONE)
    start = model.initial_state()
    filled = start.electrochemical.copy()
    assert filled.size
    series = Simulation(model, [Rest(until_duration=60.0)]).run(progress=False).series
    third = series["Lithium in particle 3 [mol]"]
    assert np.ptp(third) < 1e-12 * third[0]


def two_spheres(**materials: str | None) -> HalfCell:
    """Return a cell of two spheres, of materials by name."""
    return HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=tuple(
            Polycrystal(radius=1.5 * um, grains=1, centre=(x * um, 0.0, 4.5 * um), material=name)
            for x, name in zip((-2.2, 2.2), materials.values(), strict=True)
        ),
    )


def test_a_case_with_two_materials_runs_again(tmp_path: Path):
    """Catches a material, or the name of one, that a case file forgets."""
    given = blend(_rest_of(PAPER), **{"L*P": table_phase()}).starting_at(3.75)
    data = mesh(two_spheres(one=None, two="LFP"), size=1 * um, comm=MPI.COMM_SELF)
    first = Simulation(Model(data, given), ["Charge at 1C for 20 s"], stepping=STEPS)
    first = first.run(tmp_path / "first", progress=False)
    again = Simulation.from_case(tmp_path / "first" / "case.json", comm=MPI.COMM_SELF)
    assert again.model.materials.others.keys() == {"L*P"}
    second = again.run(tmp_path / "second", progress=False)
    for name, values in first.series.items():
        assert np.array_equal(values, second.series[name]), name
    read = Solution.load(tmp_path / "first")
    assert read.series["Minimum stoichiometry [-]"][0] > 0
    assert read.warnings == ()


def test_a_case_by_hand_may_have_two_materials(tmp_path: Path):
    """Catches a table of materials by name that a file cannot hold."""
    case = tmp_path / "case.toml"
    case.write_text(
        """
protocol = ["Charge at 1C for 10 s"]
[stepping]
class = "FixedSteps"
sizes = [5.0]
[output]
folder = "FOLDER"
figures = false
[model.mesh]
size = 1.5e-6
[model.mesh.cell]
width = 9e-6
cathode = 9e-6
separator = 3e-6
particles = [
    {radius = 1.5e-6, grains = 1, centre = [-2.2e-6, 0.0, 4.5e-6]},
    {radius = 1.5e-6, grains = 1, centre = [2.2e-6, 0.0, 4.5e-6], material = "LFP"},
]
[model.materials]
library = "yuan2023"
[model.materials.others.LFP.kinetics]
rate_constant = 1e-10
anodic_transfer = 0.5
[model.materials.others.LFP.active]
initial_concentration = 20000.0
maximum_concentration = 22800.0
diffusivity = [1e-14, 1e-14, 1e-14]
drift_volume = 0.0
open_circuit_voltage = {concentrations = [0.0, 11400.0, 22800.0], values = [4.0, 3.7, 3.5]}
expansion = {concentrations = [0.0, 11400.0, 22800.0], values = [0.0, 0.01, 0.02]}
elasticity = {class = "Elasticity", young_modulus = 120e9, poisson_ratio = 0.28}
""".replace("FOLDER", str(tmp_path / "out")),
        encoding="utf-8",
    )
    assert cli.main(["run", str(case)]) == 0
    read = Solution.load(tmp_path / "out")
    assert read.case["model"]["materials"]["others"]["LFP"]["active"]["class"] == "ActiveMaterial"
    assert read.series["Lithium in particle 2 [mol]"][0] == pytest.approx(
        4 / 3 * np.pi * (1.5 * um) ** 3 * 20000.0, rel=1e-6
    )


def table_phase() -> ActivePhase:
    """Return a second material whose curves are tables, which files can hold."""
    full = 22800.0
    at = np.linspace(0.0, full, 9)
    return ActivePhase(
        active=replace(
            phosphate().active,
            diffusivity_factor=None,
            entropic_coefficient=None,
            stiffness_factor=None,
            open_circuit_voltage=Curve.from_table(at, 4.1 - 0.5 * at / full),
            expansion=Curve.from_table(at, 0.01 * at / full),
        ),
        kinetics=phosphate().kinetics,
    )


@pytest.mark.parametrize(
    ("given", "others", "words"),
    [
        (("LFP", None), {}, "has no 'LFP', of which particle_1"),
        ((None, None), {"LFP": 1}, "others\\['LFP'\\] is of none of the 2 particles"),
        (("LFP", None), {"LFP": 1, "particle_[12]": 1}, "particle_1 is both 'LFP' and"),
        ((None, None), {"particle_3": 1}, "particle_1 to particle_2"),
    ],
)
def test_names_that_do_not_fit(given, others, words):
    """Catches a material that is given in vain, or a particle with the wrong one."""
    data = mesh(two_spheres(one=given[0], two=given[1]), size=1.5 * um, comm=MPI.COMM_SELF)
    with pytest.raises(InputError, match=words):
        Model(data, replace(PAPER, others=dict.fromkeys(others, table_phase())))


def test_materials_that_do_not_go_together():
    """Catches electrons that some particles conduct and others do not."""
    conducts = replace(phosphate().active, electronic_conductivity=0.1)
    phase = ActivePhase(active=conducts, kinetics=phosphate().kinetics)
    with pytest.raises(InputError, match=r"others\['a'\].active.electronic_conductivity = 0.1"):
        replace(PAPER, others={"a": phase})
    rising = Curve.from_callable(lambda c: 1e-7 + 0 * c, lower=0.0, upper=22800.0)
    kinetics = replace(phosphate().kinetics, rate_factor=rising)
    with pytest.raises(InputError, match=r"others\['a'\].kinetics.rate_factor"):
        replace(PAPER, others={"a": ActivePhase(active=phosphate().active, kinetics=kinetics)})
    with pytest.raises(InputError, match=r"starting_at: voltage = 4\.2"):
        blend(_rest_of(PAPER), a=phosphate()).starting_at(4.2)


def test_temperature_reaches_all_materials():
    """Catches an activation energy of a second material that nothing reads."""
    warm = blend(
        _rest_of(PAPER),
        a=ActivePhase(
            active=replace(phosphate().active, diffusivity_activation_energy=30e3),
            kinetics=replace(phosphate().kinetics, activation_energy=50e3),
        ),
    ).at(318.15)
    given, found = phosphate(), warm.others["a"]
    change = 1 / 298.15 - 1 / 318.15
    faster = np.exp(30e3 / 8.31446261815324 * change)
    assert found.active.diffusivity == pytest.approx(faster * np.array(given.active.diffusivity))
    rate = given.kinetics.rate_constant * np.exp(50e3 / 8.31446261815324 * change)
    assert found.kinetics.rate_constant == pytest.approx(rate)
    full = given.active.maximum_concentration
    rise = found.active.open_circuit_voltage.value(np.array([full]))[0] - 3.6
    assert rise == pytest.approx(20 * 1e-4, rel=1e-6)
    assert COUPLED.of(warm).others.keys() == {"a"}
