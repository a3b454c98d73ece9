"""The half-cell of Xu 2019 against PyBaMM: if this fails, voltages are not those of others.

Source: Xu et al. 2019, J. Electrochem. Soc. 166, A3456, by the parameter set Xu2019 of PyBaMM.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from femssb import (
    ContactResistance,
    Couplings,
    Discharge,
    HalfCell,
    Model,
    Polycrystal,
    Simulation,
    Stepping,
    library,
    mesh,
)
from femssb.units import um

LOWEST = 3.5  # [V] lower cut-off of the set
SIZE = 0.7 * um  # 0.9 um: 1.6 mV and .03 % apart, 1.5 um: 4.2 mV and .09 %, both at the very end


@pytest.fixture(scope="module")
def pybamm() -> Any:
    """Return PyBaMM, which sends nothing."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("PYBAMM_DISABLE_TELEMETRY", "true")
        return pytest.importorskip("pybamm", exc_type=ImportError)


@pytest.mark.slow
def test_every_set_of_pybamm_is_read(pybamm: Any) -> None:
    """Catches a form of parameters or functions that a set has and the reader does not know."""
    base = library.yuan2023.materials()
    names = (
        "Ai2020", "Chen2020", "Ecker2015", "Marquis2019", "Mohtat2020", "NCA_Kim2011", "OKane2022",
        "ORegan2022", "Prada2013", "Ramadass2004", "Xu2019", "Ecker2015_graphite_halfcell",
    )  # fmt: skip
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = library.read_pybamm(name)
            given = pybamm.ParameterValues(name)
            voltage = given["Positive electrode OCP [V]"](pybamm.Scalar(0.5))
            expected = float(np.ravel(given.process_symbol(voltage).evaluate())[0])
        full = np.array([found.maximum_concentration])
        assert found.open_circuit_voltage.value(0.5 * full) == pytest.approx(expected, abs=1e-5)
        if name not in ("Prada2013", "Ecker2015_graphite_halfcell"):  # below what NMC may have
            assert found.materials(base).temperature == pytest.approx(298, abs=5)


@pytest.mark.slow
def test_half_cell_of_xu_2019(pybamm: Any) -> None:
    """Catches a capacity, an exchange current or a diffusion that others would call another."""
    given = pybamm.ParameterValues("Xu2019")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spm = pybamm.lithium_ion.SPM({"working electrode": "positive"})
        solved = pybamm.Simulation(
            spm,
            parameter_values=given,
            var_pts={**spm.default_var_pts, "r_p": 150},
            solver=pybamm.IDAKLUSolver(rtol=1e-8, atol=1e-10),
        ).solve([0, 7200], t_interp=np.linspace(0, 7200, 7201))
        expected = solved["Time [s]"].entries, solved["Voltage [V]"].entries
        cathode = library.read_pybamm("Xu2019")
    assert expected[1][-1] == pytest.approx(LOWEST, abs=1e-6)
    one_c = 0.0024 / (0.01 * 0.0154)  # [A/m2] nominal capacity, height and width of the set

    base = cathode.materials(library.yuan2023.materials())
    materials = replace(
        base,  # with nothing that PyBaMM's single particle does not have
        ecbd=replace(base.ecbd, ionic_conductivity=1e3, electronic_conductivity=1e6),
        electrolyte=replace(base.electrolyte, ionic_conductivity=1e3),
        resistance=ContactResistance(closed=0.0, decay_length=np.inf),
    )
    width = 2.3 * cathode.radius
    particle = Polycrystal(radius=cathode.radius, grains=1)
    cell = HalfCell(width=width, cathode=width, separator=1 * um, particles=(particle,))
    alone = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)
    data = mesh(cell, size=SIZE)
    model = Model(data, materials, couplings=alone)
    # as much lithium metal to a current as in the cell of the set
    more = model.one_c / model.bodies.area("anode") / one_c
    anode = replace(materials.anode, exchange_current=more * materials.anode.exchange_current)
    model = Model(data, replace(materials, anode=anode), couplings=alone)
    stepping = Stepping(stoichiometry_error=5e-5, voltage_error=5e-4)
    protocol = [Discharge(c_rate=1, until_voltage=LOWEST)]
    run = Simulation(model, protocol, stepping=stepping).run(progress=False)

    time, voltage = run.series["Time [s]"], run.series["Voltage [V]"]
    assert time[-1] == pytest.approx(expected[0][-1], rel=2e-3)
    late = (time > 60.0) & (time < expected[0][-1])
    assert late.sum() > 40
    apart = voltage[late] - np.interp(time[late], *expected)
    assert np.abs(apart).max() < 1e-3
    assert not run.warnings
