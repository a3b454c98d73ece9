"""If these fail, a BPX file describes another electrode than the one it was made of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from femssb import Curve, InputError, library
from femssb.electrode import effective, to_bpx
from femssb.units import FARADAY, um
from femssb.voxels import VoxelImage


def electrode(*, touching: bool = True):
    """Return slabs side by side across x: 3 of AM, 4 of SE, 3 of carbon, of 8 um along z."""
    across = np.array([1, 1, 1, 2, 2, 2, 2, 3, 3, 3], dtype=np.uint8)
    if not touching:
        across = np.array([1, 1, 1, 3, 2, 2, 2, 2, 3, 3], dtype=np.uint8)
    image = VoxelImage(
        labels=np.broadcast_to(across[:, None, None], (10, 4, 8)).copy(),
        phase_names=("void", "AM", "SE", "C"),
        spacing=(1 * um, 1 * um, 1 * um),
    )
    solid = library.LI6PS5CL.elasticity
    return effective(
        image,
        active="AM",
        electrolyte="SE",
        ionic={"SE": 0.2},
        electronic={"C": 10.0},
        elasticity={"SE": solid, "C": solid},
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Catches a unit, a share or an area that changes on the way."""
    base = library.yuan2023.materials()
    full = base.active.maximum_concentration
    materials = replace(
        base,
        temperature=310.0,
        active=replace(
            base.active,
            diffusivity=(2e-14, 2e-14, 1e-14),
            diffusivity_activation_energy=25e3,
            entropic_coefficient=Curve.from_callable(lambda c: -1e-9 * c, lower=0.0, upper=full),
        ),
        kinetics=replace(base.kinetics, activation_energy=40e3),
        electrolyte=replace(base.electrolyte, ionic_conductivity=0.2, ionic_activation_energy=3e4),
    )
    made = electrode()
    path = tmp_path / "cell.json"
    lost = to_bpx(path, made, materials, separator=30 * um, area=2e-4)
    found = library.read_bpx(path).materials(base).active
    at = np.linspace(0.2, 0.95, 40) * full
    assert found.open_circuit_voltage.value(at) == pytest.approx(
        base.active.open_circuit_voltage.value(at), abs=2e-4
    )
    assert found.diffusivity[0] == pytest.approx(5e-14 / 3)
    assert found.diffusivity_activation_energy == 25e3
    assert found.entropic_coefficient is not None
    assert found.entropic_coefficient.value(at) == pytest.approx(-1e-9 * at)
    assert found.capacity == pytest.approx(materials.active.capacity)
    kinetics = library.read_bpx(path).materials(base).kinetics
    assert kinetics.rate_constant == pytest.approx(base.kinetics.rate_constant)
    assert kinetics.activation_energy == 40e3

    said = json.loads(path.read_text(encoding="utf-8"))["Parameterisation"]
    positive, cell = said["Positive electrode"], said["Cell"]
    assert positive["Thickness [m]"] == pytest.approx(8 * um)
    assert positive["Porosity"] == pytest.approx(0.4)
    assert positive["Transport efficiency"] == pytest.approx(0.4, rel=1e-6)
    assert positive["Conductivity [S.m-1]"] == pytest.approx(3.0, rel=1e-6)
    # spheres of that surface and radius hold the volume, and that the capacity
    area, radius = positive["Surface area per unit volume [m-1]"], positive["Particle radius [m]"]
    assert area == pytest.approx(made.active_area)
    assert area * radius / 3 == pytest.approx(0.3)
    charge = FARADAY * materials.active.capacity * 0.3 * 8 * um * 2e-4
    assert cell["Nominal cell capacity [A.h]"] == pytest.approx(charge / 3600)
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["State"]["Thermal environment"] == {"Ambient temperature [K]": 310.0}
    low, high = (cell[f"{side} voltage cut-off [V]"] for side in ("Lower", "Upper"))
    assert 2.5 < low < 3.6 < 4.2 < high < 5
    assert "Negative electrode" not in said
    assert any("lithium" in line for line in lost)
    assert any("crystal axes" in line for line in lost)


@pytest.mark.parametrize("varies", [False, True])
def test_the_parser_of_the_format_takes_it(tmp_path: Path, varies: bool) -> None:
    """Catches a key, or a version, that no other program reads."""
    bpx = pytest.importorskip("bpx")
    materials = library.yuan2023.materials()
    full = materials.active.maximum_concentration
    if varies:
        rise = Curve.from_callable(lambda c: -1e-9 * c, lower=0.0, upper=full)
        factor = Curve.from_callable(lambda c: 0.5 + c / full, lower=0.0, upper=full)
        active = replace(materials.active, entropic_coefficient=rise, diffusivity_factor=factor)
        materials = replace(materials, active=active)
    to_bpx(tmp_path / "cell.json", electrode(), materials, separator=30 * um)
    found = bpx.parse_bpx_file(tmp_path / "cell.json").parameterisation
    positive = found.positive_electrode
    assert positive.thickness == pytest.approx(8 * um)
    assert positive.maximum_concentration == full
    assert found.cell.lower_voltage_cutoff < 3.6 < found.cell.upper_voltage_cutoff
    at = 0.6 * full
    voltage = float(np.interp(0.6, positive.ocp.x, positive.ocp.y))
    wanted = materials.active.open_circuit_voltage.value(np.array([at]))[0]
    assert voltage == pytest.approx(wanted, abs=1e-3)
    assert type(positive).__name__ == "ElectrodeSingle"


def test_an_electrode_that_nothing_reaches_is_refused(tmp_path: Path) -> None:
    """Catches a division by an area of zero."""
    with pytest.raises(InputError, match="touches 0 m2/m3 of 'AM'"):
        to_bpx(
            tmp_path / "cell.json",
            electrode(touching=False),
            library.yuan2023.materials(),
            separator=30 * um,
        )
