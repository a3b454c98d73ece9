"""Whether elements resolve the zone in which a surface breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.cell.model import Model
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.interfaces import GrainBoundaries, ParticleContacts
from femssb.library import yuan2023
from femssb.units import GPa, MPa, um
from tests.verification.half_cells import WIDTH, face_collector
from tests.verification.stacks import stack

LAW = replace(  # of 100 MPa and 1 J/m2
    yuan2023.materials().cohesive, shear_strength=50 * MPa, shear_fracture_energy=2.0
)
SOFT, HARD = 10 * GPa, 90 * GPa
BETWEEN = 18 * GPa  # harmonic mean


def model(strength):
    base = yuan2023.materials()
    cohesive = replace(
        base.cohesive,
        normal_strength=strength,
        shear_strength=strength,
        normal_fracture_energy=1.0,
        shear_fracture_energy=1.0,
    )
    active = replace(base.active, elasticity=Elasticity(young_modulus=HARD, poisson_ratio=0.3))
    ecbd = replace(base.ecbd, elasticity=Elasticity(young_modulus=SOFT, poisson_ratio=0.3))
    return Model(face_collector(), replace(base, active=active, ecbd=ecbd, cohesive=cohesive))


def test_zone_is_that_of_the_mode_that_breaks_within_less():
    assert LAW.zone(10 * GPa) == pytest.approx(1 * um)  # 10 GPa 1 J/m2 / (100 MPa)^2; shear 8 um
    shear_is_brittle = replace(LAW, shear_strength=200 * MPa)
    assert shear_is_brittle.zone(10 * GPa) == pytest.approx(0.5 * um)
    assert LAW.unbreakable.zone(10 * GPa) == np.inf


def test_a_resolved_law_has_the_same_energies_and_mix():
    resolved = LAW.resolved_by(1 * um, 10 * GPa)
    assert resolved.zone(10 * GPa) == pytest.approx(3 * um)
    assert resolved.normal_strength / resolved.shear_strength == pytest.approx(2.0)
    assert resolved.normal_fracture_energy == LAW.normal_fracture_energy
    assert resolved.shear_fracture_energy == LAW.shear_fracture_energy
    assert LAW.resolved_by(0.3 * um, 10 * GPa) == LAW
    assert LAW.unbreakable.resolved_by(1 * um, 10 * GPa) == LAW.unbreakable


def test_modulus_of_an_interface_is_the_harmonic_mean_of_its_sides():
    assert model(100 * MPa).bodies.modulus("interface") == pytest.approx(BETWEEN)


@pytest.mark.parametrize(("factor", "warned"), [(0.98, False), (1.02, True)])
def test_an_interface_warns_where_its_facets_are_above_a_third_of_the_zone(factor, warned):
    """Facets are two right-angled halves of the cross-section."""
    edge = np.sqrt(4 / np.sqrt(3) * WIDTH**2 / 2)
    warnings = model(factor * np.sqrt(BETWEEN / (3 * edge))).warnings
    assert any("'interface' breaks within a zone of" in text for text in warnings) == warned


@pytest.mark.parametrize("brittle", ["interface", "contact", "grain_boundary"])
def test_each_surface_that_breaks_is_looked_at(brittle):
    """Catches one that is left out: at first only grain boundaries were checked."""
    base = yuan2023.materials()
    strong = base.cohesive.unbreakable
    weak = replace(base.cohesive, normal_strength=1 * GPa, shear_strength=1 * GPa)  # within .2 um
    laws = {name: strong for name in ("interface", "contact", "grain_boundary")} | {brittle: weak}
    contacts = ParticleContacts(
        resistance=base.resistance, collector=1e-4, cohesive=laws["contact"]
    )
    materials = replace(
        base,
        active=replace(base.active, electronic_conductivity=0.1),
        ecbd=replace(base.ecbd, electronic_conductivity=0.0),
        cohesive=laws["interface"],
        contacts=contacts,
        grain_boundaries=GrainBoundaries(cohesive=laws["grain_boundary"]),
    )
    grains = [["particle_1_grain_1"], ["particle_1_grain_2"], ["particle_2"]]
    model = Model(stack([*grains, ["ecbd"], ["electrolyte"]]), materials)
    said = [text.split("'")[1] for text in model.warnings if "breaks within a zone" in text]
    assert said == [brittle]
