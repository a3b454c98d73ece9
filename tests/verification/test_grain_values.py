"""Grains that differ: if these fail, a grain has the property of another, or none of its own.

Worth reading: `test_two_diffusivities`, where crystals that are turned give the same without any
value of a grain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import (
    ActivePhase,
    Charge,
    Curve,
    GrainBoundaries,
    GrainDistribution,
    GrainTable,
    InputError,
    Materials,
    Model,
    Simulation,
    library,
)
from femssb.cell.cohesion import cohesive_traction
from femssb.cell.model import Couplings
from femssb.cell.surfaces import GRAIN_BOUNDARY
from femssb.inputs.interfaces import CohesiveLaw
from femssb.run.stepping import FixedSteps
from femssb.units import MPa, um
from tests.ranks import alone_and_together
from tests.runs import ALONE, STEPS, TIGHT, TIMED, tiny_model
from tests.verification.half_cells import WIDTH, laminate
from tests.verification.slabs import GRAIN, Layer, slabs
from tests.verification.stacks import stack

PAPER = library.yuan2023.materials()
WEAK = CohesiveLaw(
    normal_strength=40 * MPa,
    shear_strength=40 * MPa,
    normal_fracture_energy=0.05,
    shear_fracture_energy=0.05,
    stiffness=1e17,
    viscosity=1e13,
)
NAMES = ("grain_1", "grain_2", "particle_1_grain_03")


def table(*factors: float) -> GrainTable:
    """Return a table of the three grains of the tiny model."""
    return GrainTable(factors=dict(zip(NAMES, factors, strict=True)))


def of_grains(materials: Materials = PAPER, **values: Any) -> Materials:
    """Return materials with values of grains, or other ones, of the active material."""
    return replace(materials, active=replace(materials.active, **values))


def run(model: Model, protocol: Any = TIMED) -> Mapping[str, np.ndarray]:
    """Return the series of a run with given steps."""
    found = Simulation(model, protocol, stepping=STEPS, tolerances=TIGHT).run(progress=False)
    return found.series


def different(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], within: float
) -> list[str]:
    """Return the columns in which two runs differ, but for counts of iterations and errors."""
    return [
        name
        for name, values in one.items()
        if "iterations" not in name
        and "error" not in name
        and not np.abs(values - other[name]).max() <= within * np.abs(values).max()
    ]


def test_the_same_factor_in_all_grains_is_that_of_the_material():
    """Catches a place that knows the material's own value only: layer, drift, stress, stiffness."""
    x, y, z = PAPER.active.diffusivity
    modulus = PAPER.active.elasticity.young_modulus
    by_grain = of_grains(
        diffusivity_of_grains=table(0.5, 0.5, 0.5), stiffness_of_grains=table(1.2, 1.2, 1.2)
    )
    whole = of_grains(
        diffusivity=(x / 2, y / 2, z / 2),
        elasticity=replace(PAPER.active.elasticity, young_modulus=1.2 * modulus),
    )
    protocol = [Charge(c_rate=2, until_duration=500.0)]
    one, other = (run(tiny_model(materials=given), protocol) for given in (by_grain, whole))
    assert different(one, other, 1e-8) == []


def column(orientations: np.ndarray, materials: Materials, comm: MPI.Comm) -> Model:
    """Return a column of two grains and the matrix, whose lithium moves along z alone."""
    data = slabs(
        [
            Layer(region=GRAIN, thickness=1 * um, cells=4),
            Layer(region=GRAIN, thickness=0.5 * um, cells=4),
            Layer(region="ecbd", thickness=1 * um, cells=1),
        ],
        width=WIDTH,
        orientations=orientations,
        comm=comm,
    )
    data = replace(data, facets={**data.facets, "collector": data.facets["anode"]})
    return laminate(data, materials, couplings=ALONE)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.mpi(ranks=2)
def test_two_diffusivities(comm, varies: bool):
    """Catches factors that swap grains, or that reach one of two ways to diffuse only.

    Along z a grain diffuses with its own factor, or, in the other cell, turned so that a slower
    axis lies along z: in a column that is the same.
    """
    slow = 2e-16
    full = PAPER.active.maximum_concentration
    curve = Curve.from_callable(lambda c: 1.5 - c / full, lower=0.0, upper=full)
    factor = {"diffusivity_factor": curve} if varies else {}
    turned = np.array([[[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], np.eye(3)])
    crystals = of_grains(diffusivity=(slow, 1e-14, 1e-14), **factor)
    grains = GrainTable(factors={"grain_1": slow / 1e-14, "grain_2": 1.0})
    factors = of_grains(diffusivity=(1e-14,) * 3, diffusivity_of_grains=grains, **factor)
    protocol = [Charge(c_rate=2, until_duration=400.0)]
    one = run(column(turned, crystals, comm), protocol)
    other = run(column(np.tile(np.eye(3), (2, 1, 1)), factors, comm), protocol)
    assert different(one, other, 1e-9) == []
    even = run(column(turned, of_grains(diffusivity=(1e-14,) * 3, **factor), comm), protocol)
    assert np.abs(one["Voltage [V]"] - even["Voltage [V]"]).max() > 0.01


def test_stiffness_of_each_grain():
    """Catches a factor on the stiffness of the wrong grain."""
    model = tiny_model(materials=of_grains(stiffness_of_grains=table(0.5, 1.0, 3.0)))
    plain = tiny_model()
    part = model.bodies.parts["particle"]
    grain = model.bodies.grain_of(part.cell_tags)
    dofs = model.mechanics.stiffness["particle"].function_space.dofmap.list[:, 0]
    found, before = (
        m.mechanics.stiffness["particle"].x.array.reshape(-1, 36)[dofs] for m in (model, plain)
    )
    assert np.unique(grain).tolist() == [0, 1, 2]
    assert found == pytest.approx(np.array([0.5, 1.0, 3.0])[grain][:, None] * before, rel=1e-14)


def breaking(strengths: GrainTable | None, law: CohesiveLaw = WEAK, **active: Any) -> Model:
    """Return the tiny model with grain boundaries that break."""
    boundaries = GrainBoundaries(cohesive=law, strength_of_grains=strengths)
    return tiny_model(materials=of_grains(replace(PAPER, grain_boundaries=boundaries), **active))


def test_the_same_strength_of_all_grains_is_that_of_the_law():
    """Catches a strength without its energy, or an opening that is scaled once only."""
    law = replace(
        WEAK,
        normal_strength=1.5 * WEAK.normal_strength,
        shear_strength=1.5 * WEAK.shear_strength,
        normal_fracture_energy=1.5**2 * WEAK.normal_fracture_energy,
        shear_fracture_energy=1.5**2 * WEAK.shear_fracture_energy,
    )
    one, other = breaking(table(1.5, 1.5, 1.5)), breaking(None, law)
    assert one.failure_opening == pytest.approx(other.failure_opening, rel=1e-14)
    steps = FixedSteps(sizes=(2.0, 10.0))
    protocol = [Charge(c_rate=3, until_duration=300.0)]
    found = [
        Simulation(model, protocol, stepping=steps, tolerances=TIGHT).run(progress=False).series
        for model in (one, other)
    ]
    assert found[0]["Crack energy dissipated [J]"][-1] > 0
    assert different(*found, 1e-6) == []


@pytest.mark.mpi(ranks=2)
def test_a_boundary_is_as_strong_as_its_weaker_grain(comm):
    """Catches the stronger one, their mean, or a strength that the other side decides."""
    boundaries = GrainBoundaries(cohesive=WEAK, strength_of_grains=table(0.5, 2.0, 3.0))
    model = tiny_model(comm, materials=replace(PAPER, grain_boundaries=boundaries))
    found = model.bodies.strengths[GRAIN_BOUNDARY]
    sides = [model.bodies.grains_at(GRAIN_BOUNDARY, side) for side in ("minus", "plus")]
    pairs = np.sort(np.array(sides), axis=0).T.tolist()
    expected = {(0, 1): 0.5, (0, 2): 0.5, (1, 2): 2.0}
    assert found.tolist() == [expected[tuple(pair)] for pair in pairs]
    assert set(comm.allreduce([tuple(pair) for pair in pairs])) == set(expected)
    assert model.failure_opening == pytest.approx(0.5 * WEAK.failure_opening)


def test_the_law_at_points_of_other_strength():
    """Catches a tangent that is not the derivative, and energy that does not follow the law."""
    random = np.random.default_rng(3)
    jump = 1e-9 * random.standard_normal((40, 3))
    strength = np.exp(0.5 * random.standard_normal(40))
    damage, spent = np.zeros(40), np.zeros(40)
    at = damage, spent, 0.3 * jump, 2.0
    found = cohesive_traction(WEAK, jump, *at, strength=strength)
    for point in range(40):
        s = strength[point]
        law = replace(
            WEAK,
            normal_strength=s * WEAK.normal_strength,
            shear_strength=s * WEAK.shear_strength,
            normal_fracture_energy=s**2 * WEAK.normal_fracture_energy,
            shear_fracture_energy=s**2 * WEAK.shear_fracture_energy,
        )
        alone = cohesive_traction(law, *(x[point : point + 1] for x in (jump, *at[:3])), 2.0)
        for name in ("traction", "tangent", "damage", "spent", "dissipated", "viscous"):
            value, wanted = getattr(found, name)[point], getattr(alone, name)[0]
            assert value == pytest.approx(wanted, rel=1e-9, abs=1e-30), name
    assert (found.damage > 0).any()
    assert (found.damage == 0).any()


@pytest.mark.mpi(ranks=3)
def test_a_distribution_is_the_same_on_any_ranks(comm):
    """Catches a draw that depends on how the mesh is shared out."""
    boundaries = GrainBoundaries(
        cohesive=WEAK, strength_of_grains=GrainDistribution(spread=0.2, seed=3)
    )
    given = of_grains(
        replace(PAPER, grain_boundaries=boundaries),
        diffusivity_of_grains=GrainDistribution(spread=0.4, seed=1),
        stiffness_of_grains=GrainDistribution(spread=0.1, seed=2),
    )
    protocol = [Charge(c_rate=2, until_duration=200.0)]
    alone, together = alone_and_together(
        comm, lambda on: run(tiny_model(on, materials=given), protocol)
    )
    assert different(alone, together, 1e-5) == []


def test_what_a_distribution_draws():
    """Catches a spread of another meaning, and grains that share a draw."""
    numbers = [(1 + k // 50, 1 + k % 50) for k in range(4000)]
    drawn = GrainDistribution(spread=0.3, seed=7).of(numbers, "a cell")
    assert len(set(drawn.tolist())) == 4000
    assert np.log(drawn).std() == pytest.approx(0.3, rel=0.05)  # 4.5 standard errors
    assert np.log(drawn).mean() == pytest.approx(0.0, abs=0.02)
    assert np.array_equal(
        GrainDistribution(spread=0.3, seed=7).of(numbers[5:9], "a cell"), drawn[5:9]
    )
    other = np.log(GrainDistribution(spread=0.3, seed=8).of(numbers, "a cell"))
    assert abs(np.corrcoef(np.log(drawn), other)[0, 1]) < 0.08
    assert GrainDistribution(spread=0.0).of(numbers[:3], "a cell").tolist() == [1.0, 1.0, 1.0]


def test_a_table_of_a_blend_is_that_of_its_own_particles():
    """Catches a table that must name the grains of other materials, too."""
    grains = GrainTable(factors={"particle_2_grain_1": 0.5})
    other = ActivePhase(
        active=replace(PAPER.active, diffusivity_of_grains=grains), kinetics=PAPER.kinetics
    )
    names = ["particle", "ecbd", "particle_2", "ecbd"]
    data = stack([["ecbd"] * 4, names, ["ecbd"] * 4, ["electrolyte"] * 4])
    model = Model(data, replace(PAPER, others={"particle_2": other}), couplings=ALONE)
    diffusing = {row.name: np.ravel(row.diffusing).tolist() for row in model.bodies.regions}
    assert diffusing["particle of particle_2"] == [0.5]
    assert diffusing["particle"] == [1.0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("grain_1", "grain_2"), "lacks particle_1_grain_3, 1 of 3 grains"),
        (("grain_1", "grain_2", "grain_3", "grain_4"), "has particle_1_grain_4, which is none"),
        (("grain_1", "grain_2", "particle_2_grain_3"), "lacks particle_1_grain_3"),
    ],
)
@pytest.mark.parametrize("field", ["diffusivity_of_grains", "stiffness_of_grains", "strength"])
def test_a_table_that_does_not_fit(names, words, field):
    """Catches a grain that is left at 1, or a value that nothing uses, without a word."""
    given = GrainTable(factors=dict.fromkeys(names, 1.0))
    if field == "strength":
        boundaries = GrainBoundaries(cohesive=WEAK, strength_of_grains=given)
        materials, owner = replace(PAPER, grain_boundaries=boundaries), "strength_of_grains"
    else:
        materials, owner = of_grains(**{field: given}), field
    with pytest.raises(InputError, match=f"{owner}: the table {words}"):
        tiny_model(materials=materials)


def test_what_is_refused_at_once():
    """Catches a name, a factor or a strength that means nothing."""
    for name in ("particle_2", "grain", "grain_0", "Grain_1", "a cell"):
        with pytest.raises(InputError, match=r"GrainTable\.factors"):
            GrainTable(factors={name: 1.0})
    with pytest.raises(InputError, match="names particle_1_grain_2 twice"):
        GrainTable(factors={"grain_2": 1.0, "particle_1_grain_02": 2.0})
    with pytest.raises(InputError, match=r"factors\['grain_1'\]|factors = 0"):
        GrainTable(factors={"grain_1": 0.0})
    with pytest.raises(InputError, match="strength_of_grains needs a cohesive law"):
        GrainBoundaries(strength_of_grains=GrainDistribution(spread=0.1))
    tiny = of_grains(diffusivity_of_grains=table(1e-3, 1.0, 1.0), diffusivity=(1e-17,) * 3)
    with pytest.raises(InputError, match=r"diffusivity_of_grains\.diffusivity"):
        tiny_model(materials=tiny)
    assert Couplings(debonding=False).of(breaking(table(1.0, 2.0, 1.0)).materials)


def test_a_case_with_values_of_grains_runs_again(tmp_path: Path):
    """Catches a table or a distribution that a case file forgets."""
    boundaries = GrainBoundaries(cohesive=WEAK, strength_of_grains=table(0.9, 1.0, 1.1))
    given = of_grains(
        replace(PAPER, grain_boundaries=boundaries),
        diffusivity_of_grains=GrainDistribution(spread=0.4, seed=5),
    )
    first = Simulation(tiny_model(materials=given), ["Charge at 2C for 20 s"], stepping=STEPS)
    first = first.run(tmp_path / "first", progress=False)
    again = Simulation.from_case(tmp_path / "first" / "case.json", comm=MPI.COMM_SELF)
    second = again.run(tmp_path / "second", progress=False)
    for name, values in first.series.items():
        assert np.array_equal(values, second.series[name]), name
