"""A sound call of every public class and function, from which wrong ones are made.

A description gets its example from the library or from `INSTANCES`: one that is new needs a line
there, a new function an entry in `ARGUMENTS`; `test_inputs.py` says so where it is missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np

import femssb
from femssb import electrode, grains, library, meshing, packing, particles, results, studies, voxels
from femssb.meshing.data import FIRST_GRAIN
from femssb.units import MPa, um
from tests import made_up_runs
from tests.robustness import powder
from tests.robustness.public import Public
from tests.runs import ALONE, tiny_model

SAM = library.NCM523
RATES = np.geomspace(10, 1000, 5)
SIZES = packing.ListedSizes(diameters=(2 * um, 3 * um), numbers=(1.0, 2.0))


@cache
def spheres() -> packing.Packing:
    """Return a packing of a few spheres, with contacts and stress."""
    random = np.random.default_rng(1)
    places = np.stack(np.meshgrid(*[[1.0, 3.0, 5.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    n = len(places)
    first = np.array([0, 1, 2, 0, 8])
    second = np.array([1, 2, 5, 9, -1])
    branches = places[np.maximum(second, 0)] - places[first]
    branches[-1] = [0, 0, 1.0]
    stress = random.normal(size=(n, 3, 3)) * 1e7
    return packing.Packing(
        positions=places * um,
        radii=np.full(n, 1.05 * um),
        phases=np.arange(n) % 2,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 6 * um),
        periodic=(True, True, False),
        stress=stress + stress.transpose(0, 2, 1),
        contacts=packing.Contacts(
            first=first,
            second=second,
            branches=branches * um,
            forces=-branches * 1e-6,
            memory=random.normal(size=(5, 3)),
        ),
    )


@cache
def resolved_cell() -> femssb.ResolvedCell:
    """Return a cell made from columns of spheres of two phases."""
    return femssb.ResolvedCell.from_packing(columns())


@cache
def electrode_of_columns() -> electrode.Effective:
    """Return the effective properties of what the resolved cell was made from."""
    return electrode.effective(
        columns(), ionic={"SE": 1.0}, electronic={"SE": 0.1}, spacing=1 * um,
        elasticity={"SE": library.LI6PS5CL.elasticity},
    )  # fmt: skip


def cathode() -> library.Cathode:
    """Return what a BPX file may say."""
    active = library.yuan2023.materials().active
    return library.Cathode(
        title="A cathode", temperature=300.0, reference_temperature=298.15,
        maximum_concentration=49360.0,
        nominal_capacity=3e4, initial_concentration=4.7e4, diffusivity=1e-14, rate_constant=1e-9,
        open_circuit_voltage=active.open_circuit_voltage, radius=5 * um, lacks=("ecbd",),
    )  # fmt: skip


def pybamm_set() -> dict[str, Any]:
    """Return a parameter set as PyBaMM has it, of numbers and functions."""
    return {
        "Maximum concentration in positive electrode [mol.m-3]": 48000.0,
        "Positive particle diffusivity [m2.s-1]": 1e-14,
        "Positive electrode OCP [V]": lambda sto: 4.3 - 0.9 * sto,
        "Positive electrode exchange-current density [A.m-2]": lambda c_e, c_s, c_max, T: (
            1e-6 * (c_e * c_s * (c_max - c_s)) ** 0.5
        ),
        "Positive particle radius [m]": 5e-6,
    }


@cache
def columns() -> packing.Packing:
    """Return spheres in columns, of active material in every other one."""
    line = [1.0, 3.0, 5.0, 7.0]
    places = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    return packing.Packing(
        positions=places * um,
        radii=np.full(len(places), 1.05 * um),
        phases=np.rint((places[:, 0] + places[:, 1]) / 2).astype(int) % 2,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 8 * um),
        periodic=(True, True, False),
    )


def halves() -> Any:
    """Return the voxels of two grains."""
    labels = np.ones((4, 4, 4), dtype=np.int64)
    labels[2:] = 2
    return labels


@cache
def image() -> voxels.VoxelImage:
    """Return an image of three phases that each lead from side to side."""
    labels = np.zeros((6, 5, 6), dtype=np.uint8)
    labels[:, 1:3], labels[:, 3:] = 1, 2
    labels[2, 0, 3] = 2
    return voxels.VoxelImage(
        labels=labels,
        phase_names=("void", "AM", "SE"),
        spacing=(1 * um, 1 * um, 1 * um),
        periodic=(True, False, False),
    )


@cache
def model() -> femssb.Model:
    """Return the smallest model there is."""
    return tiny_model(couplings=ALONE)


@cache
def solution() -> results.Solution:
    """Return a made-up run."""
    return made_up_runs.solution(spacing=2.5 * um, grains=4)


@cache
def short_run() -> results.Solution:
    """Return a made-up run without fields."""
    return made_up_runs.solution(charge_only=True, snapshots=False)


@cache
def line_curve() -> femssb.Curve:
    """Return a straight curve."""
    return femssb.Curve(function=line, slope=slope, lower=0.0, upper=5e4)


@cache
def conduction() -> voxels.Conduction:
    """Return the conduction of the image."""
    return voxels.conductivity(image(), {"SE": 1.0, "AM": 0.1}, maps=True)


@cache
def tetrahedra() -> dict[str, Any]:
    """Return points, cells and regions of two tetrahedra layers by the mesh of the small model."""
    data = model().data
    points = data.mesh.geometry.x
    cells = data.mesh.geometry.dofmap
    names = {number: name for name, number in data.regions.items()}
    tags = np.empty(len(cells), dtype=np.int64)
    tags[data.cell_tags.indices] = data.cell_tags.values
    regions = [names.get(tag, f"grain_{tag - FIRST_GRAIN + 1}") for tag in tags.tolist()]
    return {"points": points, "cells": cells, "regions": regions}


class Quick(studies.Case[dict[str, float]]):
    """A case that takes no time."""

    def __init__(self, name: str = "quick") -> None:
        self.name = name


def numbers(x: float = 1.0) -> dict[str, float]:
    """Return a number."""
    return {"x": float(x)}


@cache
def measurement() -> studies.Measurement:
    """Return a case that takes no time."""
    return studies.Measurement(name="one", function=numbers, arguments={"x": 2.0})


@cache
def study() -> studies.Study[Any]:
    """Return a study of one such case."""
    return studies.Study(name="quick", title="Quick", cases=[measurement()], targets=[target()])


@cache
def target() -> studies.Target:
    """Return a number of a paper."""
    return studies.Target(
        study="quick", case="one", key="x", quantity="gap", unit="nm", paper=14.3, band="5 %",
        reason="none",
    )  # fmt: skip


def line(x: Any) -> Any:
    """Return a straight line."""
    return 3.0 + 1e-5 * np.asarray(x, dtype=np.float64)


def slope(x: Any) -> Any:
    """Return its slope."""
    return 1e-5 + 0.0 * np.asarray(x, dtype=np.float64)


@cache
def instances() -> dict[type, Any]:
    """Return an instance of every public dataclass."""
    found: dict[type, Any] = {}
    sides = voxels.cut_voxels(spheres(), spacing=1 * um, samples=2)
    frequencies = np.logspace(-2, 6, 12)
    cell = electrode.SymmetricCell(
        thickness=100 * um, electronic_conductivity=0.1, ionic_conductivity=0.01, capacitance=1e5
    )
    networks = voxels.find_networks(image())
    ball = femssb.Polycrystal(radius=3 * um, grains=3)
    given = femssb.Grain(point=(0, 0, 0), orientation=((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    law = library.yuan2023.materials()
    for thing in (
        law, vars(library), femssb.Stepping(), femssb.FixedSteps(sizes=(1.0,)),
        femssb.Tolerances(), femssb.Couplings(), femssb.LinearSolver(), femssb.Free(),
        femssb.Fixed(), femssb.Pressure(pressure=1e6), femssb.Traction(x=1e6),
        femssb.Symmetric(), femssb.Spring(normal=1e16), femssb.Displacement(z=1e-9), given,
        femssb.HalfCell(particles=(ball,)),
        femssb.Charge(c_rate=1, until_voltage=4.3), femssb.Discharge(c_rate=1, until_voltage=3.0),
        femssb.Hold(voltage=4.0, until_c_rate=0.05), femssb.Rest(until_duration=100.0),
        femssb.Sphere(radius=2 * um, centre=(0.0, 0.0, 9 * um)),
        cathode(),
        femssb.Profile(times=(0.0, 5.0, 9.0), values=(1.0, -1.0, 0.5)),
        femssb.Drive(c_rate=line, kinks=(5.0,), until_duration=9.0, until_voltage_below=3.0),
        femssb.Cycle(steps=("Charge at C/2 until 4.3 V", femssb.Rest(until_duration=9.0)), count=2),
        femssb.Condition(column="Mean gap", above=1e-8),
        line_curve(), femssb.CrystalElasticity(stiffness=np.eye(6) * 1e11),
        femssb.ParticleContacts(resistance=law.resistance, collector=1e-3, cohesive=law.cohesive),
        femssb.GrainBoundaries(
            resistance=law.resistance, cohesive=law.cohesive, wetting_opening=1e-9,
        ),
        femssb.ActivePhase(active=law.active, kinetics=law.kinetics),
        femssb.GrainTable(factors={"grain_1": 0.9, "particle_2_grain_1": 1.1}),
        femssb.GrainDistribution(spread=0.3, seed=2),
        SIZES, packing.LognormalSizes(median=3 * um, geometric_deviation=1.2),
        packing.TabulatedSizes(diameters=(1 * um, 2 * um, 3 * um), shares=(0.0, 0.5, 1.0)),
        powder.recipe(), spheres(), packing.porosity(spheres()), law_of_contacts(),
        packing.contact_network(spheres()),
        packing.weigh(spheres(), densities={"AM": 4700.0, "SE": 1800.0}),
        electrode.transport(
            spheres(), electronic={"AM": 0.1, "SE": 0.1}, ionic={"SE": 1.0, "AM": 0.1},
            spacing=0.5 * um,
        ),
        voxels.local_widths(image(), "void"), resolved_cell(),
        grains.from_voxels(halves(), spacing=1 * um),
        particles.HertzMindlin(solids={"AM": SAM, "SE": library.LI6PS5CL}), particles.Servo(),
        particles.Uniaxial(pressure=10 * MPa), particles.Isostatic(pressure=10 * MPa),
        particles.Swell(pressure=10 * MPa, phase="AM", growth=0.01),
        particles.Slurry(pressure=1e5), particles.Drying(),
        particles.Calendering(degree=0.1), particles.Release(),
        particles.FilmDrying(evaporation=1e-6, viscosity=0.5, diffusivity=1e-12),
        particles.Porous(phase="CBD", porosity=0.5, strength=25 * MPa),
        particles.Compaction(pressure=10 * MPa),
        slurry(), library.alabdali2023.H1,
        particles.Shear(rate=100.0), curve_of_flow(), master(), particles.Window(),
        particles.calibrate(master(), particles.Window()), particles.Aim(value=1.0, error=0.1),
        particles.Structure(formulation=slurry(), forces=library.alabdali2023.H1),
        particles.Tuned(parameters={"a": 1.0}, numbers={"b": 1.0}, misfit=0.0, trials=()),
        particles.fit_herschel_bulkley(RATES, 5 + 2 * RATES**0.6),
        particles.fit_carreau(RATES, 0.2 + 3 / (1 + 0.1 * RATES)),
        grains.tessellate(ball), image(), sides, conduction(), conduction().tortuosity("SE"),
        voxels.ConductivityTensor(value=np.eye(3), asymmetry=0.0, along=(conduction(),) * 3),
        voxels.interface_areas(image()), networks, voxels.phase_profile(image()),
        voxels.chord_lengths(image(), "SE"), composite(),
        voxels.RawHeader(shape=(6, 5, 4), fastest="x"),
        voxels.impedance_tortuosity(image(), "SE", walls=["AM"]),
        voxels.Prisms(height=3 * um, height_spread=0.1 * um, ray=2 * um, ray_spread=0.1 * um),
        voxels.Extrapolation(value=1.0, uncertainty=0.1, discretisation_error=0.1, order=1.0),
        voxels.PoreNetwork(
            phase="void", centres=np.zeros((2, 3)), volumes=np.ones(2), diameters=np.ones(2),
            throats=np.array([[0, 1]]), throat_diameters=np.ones(1),
        ),
        electrode.fit_power_law([0.1, 0.2, 0.3], [30.0, 9.0, 5.0]), cell,
        electrode.fit_impedance(frequencies, cell.impedance(frequencies), thickness=100 * um),
        electrode_of_columns(), electrode_of_columns().ionic,
        electrode_of_columns().conductor(model().data, law, ohmic_drop="scaled"),
        electrode.PackingConduction(
            limit=voxels.Extrapolation(
                value=1.0, uncertainty=0.1, discretisation_error=0.1, order=1.0
            ),
            results=(conduction(), conduction()),
        ),
        electrode.CompositeCathode(
            thickness=50 * um, active_share=0.6, electrolyte_share=0.3, void=0.1,
            tortuosity_factor=3.0, conductivity=0.1, specific_capacity=5e5, density=4700.0,
        ),
        solution(), solution().cycles, model().data, meshing.describe(model().data), target(),
        measurement(), study(),
        studies.HalfCellRun(name="one", materials=law),
        studies.Heading("a"), studies.Text("a"), studies.Picture(Path("a.png"), "a"),
        studies.Table(["a"], [[1]]), results.Quantity("Words", "V", "meaning"),
        femssb.plotting.Reference(run="a", column="Voltage [V]", when="charge end", value=4.3,
                                  source="paper"),
    ):  # fmt: skip
        _walk(thing, found, set())
    return found


def _walk(thing: Any, found: dict[type, Any], seen: set[int]) -> None:
    """Collect a description and those inside it."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if is_dataclass(thing) and not isinstance(thing, type):
        found.setdefault(type(thing), thing)
        for item in fields(thing):
            _walk(getattr(thing, item.name), found, seen)
    elif isinstance(thing, Mapping):
        for one in thing.values():
            _walk(one, found, seen)
    elif isinstance(thing, list | tuple):
        for one in thing:
            _walk(one, found, seen)


@cache
def composite() -> voxels.Composite:
    """Return a composite of polyhedra."""
    return voxels.Composite(
        active=SIZES, active_share=0.4, lengths=(8 * um, 8 * um, 8 * um), spacing=1 * um
    )


@cache
def slurry() -> packing.Formulation:
    """Return a formulation of few beads."""
    return library.alabdali2023.formulation(beads=60)


@cache
def dispersed() -> packing.Packing:
    """Return its beads, dispersed, after a stage that was not done."""
    made = packing.disperse(slurry(), seed=1)
    stage = {
        "stage": "Slurry", "masses [kg]": slurry().ledger(), "evaporated [kg]": 0.0,
        "density [kg/m3]": 1900.0, "porosity": 0.0,
    }  # fmt: skip
    return replace(made, origin={**made.origin, "stages": [stage]})


@cache
def flowed() -> packing.Packing:
    """Return a packing with the report of a shear that was not done."""
    made = dispersed()
    report = {"stage": "Shear", "flow": asdict(curve_of_flow().points[0])}
    return replace(made, origin={**made.origin, "stages": [report]})


@cache
def curve_of_flow() -> particles.FlowCurve:
    """Return a flow curve of five points."""
    point = particles.FlowPoint(
        rate=1.0, stress=5.0, error=0.1, strain=2.0, start=1.0, halves=(5.0, 5.0),
        halves_error=0.2, pressure=20.0, pressure_error=0.1, normal_differences=(0.1, -0.1),
        inertia=0.01, mass_scaling=100.0, motion=0.0, steps=40_000, time_step=1e-7, cpu_time=1.0,
    )  # fmt: skip
    stresses = 5 + 2 * RATES**0.6
    return particles.FlowCurve(
        points=tuple(
            replace(point, rate=float(rate), stress=float(stress), halves=(float(stress),) * 2)
            for rate, stress in zip(RATES, stresses, strict=True)
        )
    )


@cache
def master() -> particles.MasterCurve:
    """Return a master curve."""
    rates = np.geomspace(1e2, 1e7, 11)
    return particles.MasterCurve(rates=rates, stresses=5e3 + 30 * rates**0.9, errors=10.0 * rates)


def two_numbers(parameters: Mapping[str, float], out: Path | None) -> dict[str, float]:
    """Return what a trial measures."""
    return {"density": 1000 * parameters["a"], "porosity": parameters["a"]}


@cache
def law_of_contacts() -> particles.ElasticPlastic:
    """Return a law of contacts with yield."""
    return particles.ElasticPlastic(
        solids={"AM": SAM, "SE": library.LI6PS5CL},
        yield_pressures={"AM": 1e9, "SE": 2e8},
        adhesion=0.1,
    )


FREQUENCIES = np.logspace(-2, 6, 12)

# The sound arguments of every public function, and of the classes that are no dataclasses. What a
# function writes goes to the folder that the test runs in.
ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "command": lambda: {"main": numbers, "arguments": ["--x", "3.0"]},
    "is_first_rank": dict,
    "read_step": lambda: {"sentence": "Hold at 4.3 V for 1 hour or until C/20"},
    "meshing.mesh": lambda: {
        "cell": instances()[femssb.HalfCell], "size": 2 * um, "far_size": 3 * um,
    },
    "Model": lambda: {
        "data": model().data,
        "materials": library.yuan2023.materials(),
        "collector": femssb.Fixed(),
        "anode": femssb.Free(),
        "supports": {"x_min": femssb.Symmetric()},
        "coverage": {"interface": 0.5},
        "damage": {"interface": 0.5},
        "couplings": femssb.Couplings(),
        "linear_solver": femssb.LinearSolver(),
    },
    "Simulation": lambda: {
        "model": model(),
        "protocol": [femssb.Charge(c_rate=1, until_voltage=4.2)],
        "tolerances": femssb.Tolerances(),
        "stepping": femssb.Stepping(),
    },
    "electrode.fit_impedance": lambda: {
        "frequencies": FREQUENCIES,
        "impedance": instances()[electrode.SymmetricCell].impedance(FREQUENCIES),
        "thickness": 100 * um,
        "contacts": "electronic",
        "confidence": 0.95,
    },
    "electrode.fit_power_law": lambda: {
        "x": [0.1, 0.2, 0.3, 0.4],
        "y": np.array([30.0, 9.0, 5.0, 3.0]),
        "prefactor": 1.0,
        "confidence": 0.95,
    },
    "electrode.effective": lambda: {
        "electrode": columns(),
        "ionic": {"SE": 1.0},
        "electronic": {"SE": 0.1},
        "elasticity": {"SE": library.LI6PS5CL.elasticity},
        "active": "AM",
        "electrolyte": "SE",
        "spacing": 1 * um,
        "void": "void",
        "tolerance": 1e-3,
        "comm": MPI.COMM_SELF,
    },
    "electrode.packing_conductivity": lambda: {
        "packing": spheres(),
        "conductivities": {"SE": 1.0},
        "spacing": 0.75 * um,
        "axis": "z",
        "grids": 2,
        "priority": ("AM", "SE"),
        "background": "void",
    },
    "electrode.transport": lambda: {
        "packing": spheres(),
        "electronic": {"AM": 0.1},
        "ionic": {"SE": 1.0},
        "spacing": 1 * um,
        "own_porosity": {"AM": 0.1},
        "priority": ("AM", "SE"),
        "conserve": None,
        "tolerance": 1e-3,
        "comm": MPI.COMM_SELF,
    },
    "electrode.transmission_line": lambda: {
        "thickness": 100 * um,
        "through": 1.0,
        "blocked": np.array([1.0, 2.0]),
        "coupling": np.array([1j, 1 + 1j]),
    },
    "environment.communicator": lambda: {"comm": MPI.COMM_SELF},
    "environment.from_first_rank": lambda: {"comm": MPI.COMM_SELF, "work": numbers},
    "environment.make_folder": lambda: {"folder": Path("made")},
    "environment.on_first_rank": lambda: {"comm": MPI.COMM_SELF, "work": numbers},
    "environment.progress_lines": lambda: {"show": False},
    "environment.replacing": lambda: {"path": Path("replaced.txt")},
    "environment.versions": dict,
    "grains.from_voxels": lambda: {
        "labels": halves(), "spacing": 1 * um, "orientations": np.tile(np.eye(3), (2, 1, 1)),
        "seed": 1,
    },
    "grains.read_orientations": lambda: {
        "path": "orientations.txt", "descriptor": "quaternion:passive",
    },
    "grains.read_sites": lambda: {"path": "sites.csv", "unit": um},
    "grains.read_tess": lambda: {"path": "cells.tess", "unit": um, "centre": (5.0, 5.0, 5.0)},
    "grains.tessellate": lambda: {
        "particle": femssb.Polycrystal(radius=3 * um, grains=2),
        "attempt": 0,
    },
    "meshing.describe": lambda: {"data": model().data},
    "meshing.mesh_labels": lambda: {
        "labels": np.pad(np.ones((4, 4, 4), int), 2), "spacing": (1 * um, 1 * um, 1 * um),
        "size": 2 * um, "separator": 5 * um, "seed": 1, "comm": MPI.COMM_SELF,
    },
    "meshing.from_arrays": lambda: tetrahedra() | {"orientations": None, "facets": None},
    "meshing.from_gmsh": lambda: {
        "model": gmsh_model(), "unit": um, "orientations": np.eye(3), "comm": MPI.COMM_SELF,
    },
    "library.ncm111_diffusivity_factor": lambda: {"maximum_concentration": 49360.0},
    "library.suspension": lambda: {
        "formulation": slurry(), "viscosity": 0.1, "depth": 1e-12,
    },
    "meshing.read": lambda: {"path": "cell.msh", "unit": um, "orientations": None},
    "meshing.write": lambda: {"data": model().data, "path": "written.msh"},
    "packing.composition": lambda: {"packing": spheres(), "bins": 3},
    "packing.contact_network": lambda: {"packing": spheres(), "enlargement": {"AM": 1.1}},
    "packing.coordination": lambda: {"packing": spheres()},
    "packing.disperse": lambda: {"formulation": slurry(), "seed": 1},
    "packing.force_chains": lambda: {"packing": spheres(), "above": 1.0},
    "packing.heat_map": lambda: {"packing": spheres(), "values": np.arange(27.0), "bins": 4},
    "packing.insert": lambda: {"recipe": powder.recipe(), "height": 60 * um, "seed": 1},
    "packing.mean_stress": lambda: {"packing": spheres()},
    "packing.overlaps": lambda: {"packing": spheres(), "one": "AM", "other": "SE"},
    "packing.pack_spheres": lambda: {
        "sizes": SIZES,
        "fraction": 0.3,
        "lengths": (10 * um, 10 * um, 10 * um),
        "periodic": (True, True, True),
        "phase": "AM",
        "overlap": 0.0,
        "seed": 1,
        "most_steps": 1000,
    },
    "packing.particle_stress": lambda: {
        "packing": spheres(),
        "partition": "arms",
        "planes": True,
    },
    "packing.porosity": lambda: {"packing": spheres()},
    "packing.profile": lambda: {
        "packing": spheres(),
        "values": np.arange(27.0),
        "along": spheres().positions[:, 2],
        "bins": 3,
        "by_volume": True,
    },
    "packing.rattlers": lambda: {"packing": spheres()},
    "packing.read": lambda: {
        "path": "packing.csv",
        "units": "si",
        "phases": {1: "AM", 2: "SE"},
        "box": ((0, 0, 0), (6 * um, 6 * um, 6 * um)),
        "periodic": (True, True, False),
    },
    "packing.read_frames": lambda: {
        "path": "packing.csv",
        "units": "si",
        "phases": {1: "AM", 2: "SE"},
        "box": ((0, 0, 0), (6 * um, 6 * um, 6 * um)),
        "periodic": (True, True, False),
    },
    "packing.solid_profile": lambda: {"packing": spheres(), "bins": 5},
    "packing.stratification": lambda: {"packing": spheres(), "phase": "SE"},
    "packing.thickness": lambda: {"packing": spheres()},
    "packing.weigh": lambda: {
        "packing": spheres(),
        "densities": {"AM": 4700.0, "SE": 1800.0},
        "own_porosity": {"SE": 0.1},
    },
    "packing.write": lambda: {
        "packing": spheres(),
        "path": "written.csv",
        "units": "micro",
        "densities": {"AM": 4700.0, "SE": 1800.0},
    },
    "particles.collapsed": lambda: {
        "porosity": 0.5, "strength": 25 * MPa, "pressure": np.array([10.0, 50.0]) * MPa,
    },
    "particles.sinking_speed": lambda: {
        "radius": np.array([1.0, 5.0]) * um, "excess_density": np.array([1e3, 4e3]),
        "viscosity": 0.5,
    },
    "particles.cycles": lambda: {
        "phase": "AM", "growth": 0.02, "pressure": 10 * MPa, "count": 2, "of": "diameter",
    },
    "particles.calibrate": lambda: {"curve": master(), "window": particles.Window()},
    "particles.fit_carreau": lambda: {
        "rates": RATES, "viscosities": 3 / RATES**0.5, "errors": 0.1 / RATES**0.5,
        "confidence": 0.9,
    },
    "particles.fit_herschel_bulkley": lambda: {
        "rates": RATES, "stresses": 5 + 2 * RATES**0.6, "errors": 0.1 * RATES**0.5,
        "confidence": 0.9,
    },
    "particles.flow_curve": lambda: {"packing": flowed()},
    "particles.krieger_dougherty": lambda: {
        "solvent_viscosity": 1e-3, "solids": [0.1, 0.3], "densest": 0.6, "intrinsic": 2.7,
    },
    "particles.tune": lambda: {
        "measure": two_numbers,
        "bounds": {"a": (0.5, 2.0)},
        "aims": {"density": particles.Aim(value=1000.0, error=10.0)},
        "trials": 3,
        "seed": 1,
        "out": "tuned",
        "progress": False,
    },
    "particles.ledger": lambda: {"packing": dispersed(), "formulation": slurry()},
    "particles.plateau": lambda: {"values": np.arange(40.0), "discard": 0.5},
    "particles.process": lambda: {
        "packing": dispersed(),
        "stages": [particles.Slurry()],
        "formulation": slurry(),
        "forces": library.alabdali2023.H1,
        "out": "processed",
        "comm": MPI.COMM_SELF,
        "progress": False,
    },
    "particles.summary": lambda: {"packing": dispersed()},
    "particles.press": lambda: {
        "packing": spheres(),
        "stages": [particles.Uniaxial(pressure=10 * MPa)],
        "law": instances()[particles.HertzMindlin],
        "out": "pressed",
        "comm": MPI.COMM_SELF,
        "progress": False,
        "servo": particles.Servo(),
    },
    "particles.yield_pressure": lambda: {"solid": library.LI6PS5CL},
    "plotting.animate": lambda: {
        "solution": solution(), "path": "movie.gif", "field": "Von Mises stress [Pa]",
        "cycle": 1, "frames": 2, "frames_per_second": 5.0,
    },
    "plotting.report": lambda: {"solution": solution(), "path": "page.html", "title": "A run"},
    "plotting.view": lambda: {"solution": solution(), "port": 8080},
    "plotting.by_phase": lambda: {"packings": {"a": spheres()}},
    "plotting.by_stress": lambda: {"packings": {"a": spheres()}},
    "plotting.can_render": dict,
    "plotting.chains": lambda: {"packing": spheres(), "above": 0.5},
    "plotting.compare": lambda: {
        "solutions": {"a": solution(), "b": solution()},
        "columns": ["Voltage [V]", "Mean gap [m]"],
        "path": "compared.png",
        "nominal_times": {"a": 3600.0, "b": 3600.0},
        "reference": [],
    },
    "plotting.compare_cells": lambda: {
        "solutions": {"a": solution()},
        "path": "cells.png",
        "field": "Von Mises stress [Pa]",
        "moments": ["charge end"],
    },
    "plotting.compare_sections": lambda: {
        "solutions": {"a": solution()},
        "fields": ["Von Mises stress [Pa]"],
        "path": "sections.png",
        "moments": ["charge end"],
        "plane": "z-y",
        "particle": 1,
    },
    "plotting.cycle": lambda: {"solution": solution(), "folder": "pictures"},
    "plotting.draw": lambda: {
        "solution": solution(), "columns": ["Voltage [V]"], "against": "Time [s]",
    },
    "plotting.losses": lambda: {"solution": solution()},
    "plotting.cycles": lambda: {"solution": solution()},
    "plotting.stress_and_strain": lambda: {"solution": solution()},
    "plotting.voltage_and_gap": lambda: {"solution": solution()},
    "plotting.frames": lambda: {"packings": {"a": spheres()}, "folder": "frames", "by": "phase"},
    "plotting.heat_maps": lambda: {"rows": {"a": {"b": spheres()}}, "axis": 2, "bins": 3},
    "plotting.save": lambda: {
        "path": "saved.png",
        "draw": femssb.plotting.stress_distribution,
        "arguments": ({"a": spheres()},),
        "tight": False,
        "dots_per_inch": 20.0,
    },
    "plotting.stress_distribution": lambda: {"packings": {"a": spheres()}, "bins": 3},
    "plotting.stress_profiles": lambda: {"packings": {"a": spheres()}, "bins": 3},
    "results.Snapshots": lambda: {"folder": "fields"},
    "results.of_particle": lambda: {"name": "Lithium in particle k [mol]", "number": 1},
    "results.on_axis": lambda: {"name": "Voltage [V]"},
    "studies.Cache": lambda: {"folder": "cases"},
    "studies.Number": lambda: {"value": 1.0, "spread": 0.1},
    "studies.near": lambda: {"one": 1.0, "other": 1.05, "share": 0.1},
    "studies.Estimate": lambda: {"value": 1.0, "mesh": 0.1, "steps": 0.01},
    "studies.convergence": lambda: {
        "case": instances()[studies.HalfCellRun], "out": "cases", "coarsening": 1.3, "jobs": 1,
    },
    "studies.estimate": lambda: {
        "values": [1.0, 1.1, 1.3, 1.31], "coarsening": 1.3, "local": False,
    },
    "studies.perform": lambda: {
        "studies": (study(),),
        "out": "study",
        "title": "Title",
        "notes": ["a note"],
        "jobs": 1,
        "case": 1,
        "run_cases": False,
    },
    "library.read_pybamm": lambda: {"parameters": pybamm_set(), "temperature": 300.0},
    "electrode.to_bpx": lambda: {
        "path": "half_cell.json",
        "electrode": electrode_of_columns(),
        "materials": library.yuan2023.materials(),
        "separator": 30 * um,
        "area": 1e-4,
        "title": "A half-cell",
    },
    "library.read_bpx": lambda: {"path": "bpx.json", "temperature": 300.0, "particle": None},
    "studies.read_targets": lambda: {"path": "targets.csv", "study": "quick"},
    "studies.report": lambda: {
        "columns": {"": (study(), {"one": {"x": 2.0}})},
        "folder": "reports",
    },
    "studies.rising": lambda: {"values": [1.0, 2.0], "share": 0.1},
    "studies.run": lambda: {
        "cases": [measurement()],
        "cache": studies.Cache("cases"),
        "jobs": 1,
        "comm": None,
    },
    "studies.write_page": lambda: {
        "path": "page",
        "title": "Title",
        "blocks": [studies.Heading("a"), studies.Text("b"), studies.Table(["a"], [[1]])],
    },
    "voxels.active_interface": lambda: {
        "networks": instances()[voxels.Networks], "active_material": "AM", "electrolyte": "SE",
    },
    "voxels.add_binder": lambda: {
        "image": image(), "ratio": 0.05, "around": "AM", "phase": "binder", "into": "void",
    },
    "voxels.add_polyhedra": lambda: {
        "image": voxels.empty_image((8 * um,) * 3, 1 * um),
        "shapes": voxels.Polyhedra(sizes=SIZES, faces=12),
        "phase": "AM",
        "left": 0.8,
        "into": "void",
        "overlap": 1.0,
        "seed": 1,
    },
    "voxels.chord_lengths": lambda: {"image": image(), "phase": "SE", "axis": "z"},
    "voxels.conductivity": lambda: {
        "image": image(),
        "conductivities": {"SE": 1.0, "AM": 0.1},
        "axis": "z",
        "sides": "insulating",
        "contact_resistance": {("AM", "SE"): 1e-6},
        "tolerance": 1e-3,
        "maps": False,
        "comm": MPI.COMM_SELF,
    },
    "voxels.conductivities_of": lambda: {
        "images": [image(), image()], "conductivities": {"SE": 1.0, "AM": 0.1}, "processes": 1,
        "tolerance": 1e-3,
    },
    "voxels.conductivity_tensor": lambda: {
        "image": image(), "conductivities": {"SE": 1.0, "AM": 0.1}, "tolerance": 1e-3,
    },
    "voxels.empty_image": lambda: {
        "lengths": (5 * um, 5 * um, 5 * um),
        "spacing": 1 * um,
        "periodic": (False, True, False),
        "phase": "void",
    },
    "voxels.extrapolate": lambda: {"results": grids()},
    "voxels.find_clusters": lambda: {"image": image(), "phases": ("AM", "SE"), "axis": "z"},
    "voxels.find_networks": lambda: {
        "image": image(),
        "electronic": "AM",
        "ionic": ["SE"],
        "axis": "z",
        "collector": "lower",
    },
    "voxels.from_array": lambda: {
        "values": image().labels,
        "phase_names": {0: "void", 1: "AM", 2: "SE"},
        "spacing": 1 * um,
        "periodic": (True, False, True),
        "origin": {"file": "x"},
    },
    "voxels.interface_area": lambda: {
        "image": image(), "first": image().mask("AM"), "second": image().mask("SE"),
    },
    "voxels.interface_areas": lambda: {"image": image()},
    "voxels.cut_voxels": lambda: {
        "packing": spheres(),
        "spacing": (1 * um, 1 * um, 2 * um),
        "priority": ("AM", "SE"),
        "samples": 2,
        "background": "void",
    },
    "voxels.impedance_tortuosity": lambda: {
        "image": image(),
        "phase": "SE",
        "walls": ("AM",),
        "bulk": 0.3,
        "double_layer": 0.1,
        "axis": "z",
        "separator": "lower",
        "sides": None,
        "frequencies": (10.0,),
    },
    "voxels.separate": lambda: {"image": image(), "phase": "AM", "neck": 0.9},
    "voxels.to_packing": lambda: {
        "image": image(), "phases": ("AM", "SE"), "neck": 0.9, "fewest": 2,
    },
    "voxels.local_widths": lambda: {"image": image(), "phase": "void", "classes": 4},
    "voxels.phase_profile": lambda: {"image": image(), "axis": "z"},
    "voxels.pore_network": lambda: {
        "image": image(), "phase": "void", "smoothing": 0.4, "window": 4,
    },
    "voxels.read_image": lambda: {
        "path": "image.npy",
        "phase_names": ("void", "AM", "SE"),
        "spacing": 1 * um,
        "periodic": (True, True, False),
        "array": None,
    },
    "voxels.sphere_areas": lambda: {
        "packing": spheres(), "priority": ("AM", "SE"), "background": "void", "points": 100,
    },
    "voxels.voxelise": lambda: {
        "packing": spheres(),
        "spacing": 1 * um,
        "priority": ("AM", "SE"),
        "rule": "majority",
        "samples": 2,
        "background": "void",
        "conserve": "SE",
    },
    "voxels.write_image": lambda: {"image": image(), "path": "written.npy"},
}  # fmt: skip

# The methods of these classes that a user calls with arguments, and sound ones.
METHODS: dict[str, Callable[[], tuple[Callable[..., Any], dict[str, Any]]]] = {
    "particles.MasterCurve.viscosity": lambda: (
        master().viscosity, {"rates": [10.0, 100.0], "epsilon": 1e-3, "gamma": 0.3},
    ),
    "particles.MasterCurve.shift": lambda: (
        master().shift, {"rates": [50.0, 1000.0], "viscosities": [0.55, 0.33]},
    ),
    "particles.Calibration.viscosity": lambda: (
        instances()[particles.Calibration].viscosity, {"rates": [50.0, 1000.0]},
    ),
    "particles.Window.holds": lambda: (
        particles.Window().holds, {"rates": [50.0, 1000.0], "viscosities": [0.55, 0.33]},
    ),
    "particles.HerschelBulkley.stress": lambda: (
        instances()[particles.HerschelBulkley].stress, {"rates": RATES},
    ),
    "particles.HerschelBulkley.viscosity": lambda: (
        instances()[particles.HerschelBulkley].viscosity, {"rates": RATES},
    ),
    "particles.Carreau.stress": lambda: (
        instances()[particles.Carreau].stress, {"rates": RATES},
    ),
    "particles.Carreau.viscosity": lambda: (
        instances()[particles.Carreau].viscosity, {"rates": RATES},
    ),
    "particles.FlowCurve.herschel_bulkley": lambda: (
        curve_of_flow().herschel_bulkley, {"confidence": 0.9},
    ),
    "particles.FlowCurve.carreau": lambda: (curve_of_flow().carreau, {"confidence": 0.9}),
    "particles.FlowCurve.yield_stress": lambda: (
        curve_of_flow().yield_stress, {"confidence": 0.9},
    ),
    "particles.Structure.changed": lambda: (
        instances()[particles.Structure].changed, {"parameters": {"enlargement": 1.1}},
    ),
    "particles.Structure.__call__": lambda: (
        instances()[particles.Structure].__call__,
        {"parameters": {"enlargement": 1.1}, "out": None},
    ),
    "electrode.CompositeCathode.current_density": lambda: (
        instances()[electrode.CompositeCathode].current_density, {"voltage_drop": 0.1},
    ),
    "electrode.CompositeCathode.c_rate": lambda: (
        instances()[electrode.CompositeCathode].c_rate, {"voltage_drop": [0.1, 0.2]},
    ),
    "electrode.Effective.areal_capacity": lambda: (
        electrode_of_columns().areal_capacity,
        {"active": library.yuan2023.materials().active},
    ),
    "electrode.Effective.conductor": lambda: (
        electrode_of_columns().conductor,
        {
            "cell": model().data,
            "materials": library.yuan2023.materials(),
            "ohmic_drop": "scaled",
        },
    ),
    "electrode.Counterpart.current_density": lambda: (
        instances()[electrode.Counterpart].current_density, {"c_rate": 0.5},
    ),
    "electrode.PackingConduction.tortuosity": lambda: (
        instances()[electrode.PackingConduction].tortuosity, {"phase": "SE", "void": "void"},
    ),
    "electrode.PowerLaw.__call__": lambda: (
        instances()[electrode.PowerLaw].__call__, {"x": [0.1, 0.2]},
    ),
    "packing.Formulation.balance": lambda: (slurry().balance, {"density": 1900.0}),
    "particles.FilmDrying.numbers": lambda: (
        instances()[particles.FilmDrying].numbers,
        {"packing": dispersed(), "formulation": slurry()},
    ),
    "particles.Plateau.reached": lambda: (
        particles.plateau(np.ones(40)).reached, {"tolerance": 0.1},
    ),
    "BeadForces.scaled": lambda: (
        library.alabdali2023.H1.slurry.scaled, {"depth": 0.1, "damping": 2.0, "stiffness": 1.0},
    ),
    "electrode.SymmetricCell.impedance": lambda: (
        instances()[electrode.SymmetricCell].impedance, {"frequencies": FREQUENCIES},
    ),
    "electrode.Transport.cell": lambda: (
        instances()[electrode.Transport].cell,
        {"capacitance": 0.1, "exponent": 0.9, "contacts": "ionic"},
    ),
    "packing.ContactNetwork.clusters": lambda: (
        instances()[packing.ContactNetwork].clusters, {"phases": ("AM", "SE")},
    ),
    "packing.ContactNetwork.percolating": lambda: (
        instances()[packing.ContactNetwork].percolating, {"phases": "AM", "axis": "x"},
    ),
    "packing.ContactNetwork.percolating_share": lambda: (
        instances()[packing.ContactNetwork].percolating_share, {"phases": ["AM"], "axis": "z"},
    ),
    "packing.Contacts.part": lambda: (spheres().contacts.part, {"rows": np.array([0, 2])}),
    "packing.ListedSizes.by_volume": lambda: (
        packing.ListedSizes.by_volume, {"diameters": [2 * um, 3 * um], "shares": [0.5, 0.5]},
    ),
    "packing.ListedSizes.counts": lambda: (SIZES.counts, {"volume": 1e-15}),
    "packing.Packing.of_phase": lambda: (spheres().of_phase, {"name": "AM"}),
    "packing.Recipe.diameters": lambda: (powder.recipe().diameters, {"seed": 1}),
    "plotting.Reference.time_in": lambda: (
        instances()[femssb.plotting.Reference].time_in, {"solution": solution()},
    ),
    "results.Snapshot.write": lambda: (solution().snapshots[0].write, {"folder": "fields"}),
    "results.Snapshot.keeping": lambda: (solution().snapshots[0].keeping, {"names": ["Gap [m]"]}),
    "results.Solution.time_of": lambda: (solution().time_of, {"moment": "charge end"}),
    "results.Solution.snapshot_at": lambda: (solution().snapshot_at, {"moment": "charge end"}),
    "results.Solution.to_dataframe": lambda: (solution().to_dataframe, {"table": "cycles"}),
    "results.Solution.save": lambda: (short_run().save, {"folder": "run", "overwrite": True}),
    "results.Solution.load": lambda: (results.Solution.load, {"folder": "sound_run"}),
    "studies.Cache.folder_of": lambda: (studies.Cache("cases").folder_of, {"case": measurement()}),
    "studies.Cache.prepare": lambda: (studies.Cache("cases").prepare, {"case": measurement()}),
    "studies.Cache.find": lambda: (studies.Cache("cases").find, {"case": measurement()}),
    "studies.Cache.results": lambda: (studies.Cache("cases").results, {"cases": [measurement()]}),
    "studies.Table.write": lambda: (studies.Table(["a"], [[1]]).write, {"path": "table.csv"}),
    "studies.Target.holds": lambda: (target().holds, {"ours": 14.0}),
    "voxels.Clusters.select": lambda: (instances()[voxels.Clusters].select, {"reach": "lower"}),
    "voxels.Clusters.mask": lambda: (instances()[voxels.Clusters].mask, {"reach": "lower"}),
    "voxels.Clusters.utilisation": lambda: (
        instances()[voxels.Clusters].utilisation, {"reach": "lower"},
    ),
    "voxels.Conduction.tortuosity": lambda: (
        conduction().tortuosity, {"phase": "SE", "void": "void"},
    ),
    "voxels.InterfaceAreas.between": lambda: (
        instances()[voxels.InterfaceAreas].between, {"first": "AM", "second": "SE"},
    ),
    "voxels.InterfaceAreas.surface": lambda: (
        instances()[voxels.InterfaceAreas].surface, {"phase": "AM"},
    ),
    "voxels.PhaseProfile.of_phase": lambda: (
        instances()[voxels.PhaseProfile].of_phase, {"name": "AM"},
    ),
    "ResolvedCell.from_packing": lambda: (
        femssb.ResolvedCell.from_packing,
        {
            "packing": columns(), "active": "AM", "electrolyte": "SE", "voids": "empty",
            "separator": 5 * um,
            "grains": 2,
            "size_spread": 0.1, "seed": 1, "electrons": "both", "smallest": 0.05 * um,
        },
    ),
    "voxels.VoxelImage.label": lambda: (image().label, {"name": "AM"}),
    "voxels.VoxelImage.mask": lambda: (image().mask, {"name": "AM"}),
    "Curve.value": lambda: (line_curve().value, {"concentration": np.array([1e3, 2e3])}),
    "Curve.derivative": lambda: (line_curve().derivative, {"concentration": np.array([1e3])}),
    "Curve.from_table": lambda: (
        femssb.Curve.from_table,
        {"table": np.array([1.0, 0.5, 0.0]), "values": np.array([3.0, 3.8, 4.3]), "scale": 4e4},
    ),
    "Curve.from_callable": lambda: (
        femssb.Curve.from_callable, {"function": np.sqrt, "lower": 1e3, "upper": 4e4},
    ),
    "Condition.beyond": lambda: (
        femssb.Condition(column="Voltage", above=4.0).beyond, {"row": {"Voltage [V]": 4.1}},
    ),
    "Curve.plus": lambda: (line_curve().plus, {"other": line_curve(), "factor": 0.5}),
    "GrainTable.of": lambda: (
        instances()[femssb.GrainTable].of, {"grains": [(1, 1), (2, 1)], "owner": "a cell"},
    ),
    "GrainDistribution.of": lambda: (
        instances()[femssb.GrainDistribution].of, {"grains": [(1, 1), (2, 1)], "owner": "a cell"},
    ),
    "CohesiveLaw.zone": lambda: (
        library.yuan2023.materials().cohesive.zone, {"modulus": 2e10},
    ),
    "CohesiveLaw.resolved_by": lambda: (
        library.yuan2023.materials().cohesive.resolved_by, {"size": 3e-6, "modulus": 2e10},
    ),
    "Materials.at": lambda: (library.yuan2023.materials().at, {"temperature": 320.0}),
    "Materials.starting_at": lambda: (library.yuan2023.materials().starting_at, {"voltage": 4.0}),
    "Materials.with_phases": lambda: (
        library.yuan2023.materials().with_phases, {"phases": library.yuan2023.materials().phases},
    ),
    "ActiveMaterial.starting_at": lambda: (
        library.yuan2023.materials().active.starting_at, {"voltage": 4.0},
    ),
    "library.Cathode.materials": lambda: (
        cathode().materials, {"base": library.yuan2023.materials()},
    ),
    "Curve.plot": lambda: (line_curve().plot, {"axes": None, "label": "Voltage [V]"}),
    "Profile.read": lambda: (
        femssb.Profile.read, {"path": "profile.csv", "scale": 1.0, "constant": False},
    ),
    "Profile.at": lambda: (instances()[femssb.Profile].at, {"time": 1.0}),
    "HalfCell.centre": lambda: (instances()[femssb.HalfCell].centre, {"index": 0}),
    "Simulation.from_case": lambda: (
        femssb.Simulation.from_case,
        {"path": "case.toml", "modules": ["femssb"], "comm": MPI.COMM_SELF},
    ),
    "Simulation.run": lambda: (
        femssb.Simulation(model(), [femssb.Rest(until_duration=1.0)]).run,
        {"folder": "run", "progress": False, "resume": False, "overwrite": True, "on_step": []},
    ),
}  # fmt: skip
# Methods that the package itself calls, with what it has checked.
INTERNAL = {
    "packing.ListedSizes.quantile", "packing.LognormalSizes.quantile",
    "packing.TabulatedSizes.quantile", "packing.Sizes.quantile", "particles.ContactLaw.elasticity",
    "particles.Stage.prepared", "particles.Stage.expected", "particles.Stage.check",
    "particles.Stage.axes", "particles.Stage.work", "particles.Isostatic.prepared",
    "particles.WetStage.forces", "particles.WetStage.moving", "particles.Slurry.moving",
    "particles.WetStage.prepared", "particles.WetStage.expected",
    "particles.WetStage.check_periodic",
    "particles.WetStage.check", "particles.WetStage.carry_out", "particles.Slurry.check",
    "particles.Slurry.carry_out", "particles.Drying.forces", "particles.Drying.expected",
    "particles.Drying.check", "particles.Drying.carry_out", "particles.Shear.check",
    "particles.Shear.carry_out", "BeadForces.bead",
    "BeadForces.pairs", "BeadForces.contact_radii",
    "particles.Calendering.press", "particles.Calendering.check", "particles.Calendering.expected",
    "particles.Calendering.longest_step", "particles.Calendering.carry_out",
    "particles.Release.press", "particles.Release.check", "particles.Release.expected",
    "particles.Release.longest_step", "particles.Release.carry_out",
    "particles.Compaction.prepared", "particles.Compaction.expected", "particles.Compaction.wanted",
    "particles.Compaction.work", "particles.FilmDrying.press", "particles.FilmDrying.longest_step",
    "particles.FilmDrying.expected", "particles.FilmDrying.check", "particles.FilmDrying.film",
    "particles.FilmDrying.sinking", "particles.FilmDrying.diffusivities",
    "particles.FilmDrying.carry_out", "particles.Stage.wanted",
    "particles.Swell.expected", "particles.Swell.work", "particles.Uniaxial.axes",
    "studies.Case.run", "studies.Case.load", "studies.Case.numbers", "studies.HalfCellRun.run",
    "studies.HalfCellRun.load", "studies.HalfCellRun.numbers", "studies.Measurement.run",
    "studies.Measurement.load", "studies.Measurement.numbers", "studies.Study.figures",
    "studies.Study.number", "voxels.Polyhedra.draw", "voxels.Prisms.draw", "Couplings.of",
    "Curve.value_and_derivative", "Drive.at", "FixedSteps.proposed", "FixedSteps.error",
    "FixedSteps.shortened", "FixedSteps.next", "LinearSolver.method_for", "Model.expansion",
    "Model.gap", "Model.initial_state", "Model.warm_to",
    "ActiveMaterial.chemical_strain", "ActiveMaterial.diffusivities", "ActiveMaterial.stiffening",
    "Model.stiffness_factor", "Model.stresses", "Model.electrochemical",
    "Model.mechanical", "Model.stoichiometry",
    "Model.interface_current", "Model.traction", "Stepping.proposed", "Stepping.error",
    "Stepping.shortened", "Stepping.next",
}  # fmt: skip

# Where the work of a call begins that takes too long to be tried thousands of times: the checks
# before it are what is tested.
WORK = {
    "meshing.mesh": ("femssb.meshing.half_cell._best",),
    "meshing.mesh_labels": ("femssb.meshing.labels._mesh",),
    "packing.insert": ("femssb.packing.insertion.separate",),
    "packing.pack_spheres": ("femssb.packing.jamming._separate",),
    "particles.press": ("femssb.particles.pressing.Engine",),
    "particles.process": ("femssb.particles.slurry.BeadEngine",),
    "particles.tune": ("femssb.particles.tuning.load",),
    "particles.Structure.__call__": ("femssb.particles.tuning.disperse",),
    "plotting.animate": ("femssb.plotting.movies.rendering.can_render",),
    "plotting.report": ("femssb.plotting.pages.load",),
    "plotting.view": ("femssb.plotting.scenes.require",),
    "plotting.cycle": ("femssb.plotting.runs.save",),
    "plotting.compare": ("femssb.plotting.runs.save",),
    "plotting.compare_cells": ("femssb.plotting.runs.save",),
    "plotting.compare_sections": ("femssb.plotting.runs.save",),
    "Simulation.from_case": ("femssb.run.simulation.meshed",),
    "Simulation.run": ("femssb.run.stepper.Stepper.start",),
    "results.Solution.to_dataframe": ("femssb.results.solution.load",),
    "studies.convergence": ("femssb.studies.convergence.run",),
    "voxels.pore_network": ("femssb.voxels.measure.pores._load_porespy",),
    "grains.from_voxels": ("femssb.grains.voxel_fit._fit",),
    "ResolvedCell.from_packing": ("femssb.meshing.resolved_cell.heal",),
}
# Functions of a user, whose errors are the user's: another function is not tried.
FUNCTIONS_OF_A_USER = {
    ("command", "main"), ("environment.from_first_rank", "work"),
    ("environment.on_first_rank", "work"), ("plotting.save", "draw"),
    ("particles.tune", "measure"),
}  # fmt: skip
# Calls that take longer than the others: their share of the usual number of examples.
SLOW = {
    "Model": 0.2, "plotting.save": 0.05, "plotting.by_phase": 0.05, "plotting.by_stress": 0.05,
    "plotting.chains": 0.05, "plotting.frames": 0.05, "plotting.heat_maps": 0.2,
    "plotting.stress_distribution": 0.3, "plotting.stress_profiles": 0.3,
    "Curve.plot": 0.1,
    "electrode.fit_impedance": 0.3, "electrode.packing_conductivity": 0.5,
    "electrode.effective": 0.2, "electrode.Effective.conductor": 0.5, "meshing.write": 0.2,
}  # fmt: skip
# Classes to derive from, and those that a user never makes.
NO_EXAMPLE = {
    "packing.Sizes": "abstract",
    "particles.Stage": "abstract",
    "particles.WetStage": "abstract",
    "particles.FilmNumbers": "what FilmDrying.numbers returns",
    "packing.Composition": "what composition returns",
    "packing.Stratification": "what stratification returns",
    "packing.VolumeBalance": "what Formulation.balance returns",
    "particles.Plateau": "what plateau returns",
    "particles.ContactLaw": "abstract",
    "studies.Case": "abstract",
    "studies.Results": "a dictionary",
}


@cache
def grids() -> tuple[voxels.Conduction, ...]:
    """Return the conduction of one shape on two grids."""
    fine = voxels.from_array(
        np.repeat(np.repeat(np.repeat(image().labels, 2, 0), 2, 1), 2, 2),
        phase_names=image().phase_names,
        spacing=0.5 * um,
    )
    return (
        voxels.conductivity(image(), {"SE": 1.0, "AM": 0.1}, sides="insulating"),
        voxels.conductivity(fine, {"SE": 1.0, "AM": 0.1}),
    )


def example(public: Public) -> dict[str, Any] | None:
    """Return sound arguments of a class or function, None where there are none yet."""
    if public.name in ARGUMENTS:
        return ARGUMENTS[public.name]()
    known = instances().get(public.thing) if inspect.isclass(public.thing) else None
    if known is None:
        return None
    return {item.name: getattr(known, item.name) for item in fields(known) if item.init}


def call(thing: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call something with arguments by name, those that have no name by place."""
    named = dict(arguments)
    places: list[Any] = []
    for name, parameter in inspect.signature(thing).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and name in named:
            given = named.pop(name)
            places += given if isinstance(given, list | tuple) else [given]
        elif parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and any(
            other.kind is inspect.Parameter.VAR_POSITIONAL
            for other in inspect.signature(thing).parameters.values()
        ):
            places.append(named.pop(name))
    made = thing(*places, **named)
    if hasattr(made, "__enter__") and hasattr(made, "gen"):  # a context manager of a generator
        with made as path:
            Path(path).write_text("x", encoding="utf-8")
    return made


@cache
def gmsh_model() -> Any:
    """Return a model of Gmsh, as a user has it open."""
    import gmsh

    gmsh.initialize(readConfigFiles=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.merge(str(Path(__file__).parents[2] / "meshes" / "single_crystal_2um.msh"))
    return gmsh.model


def prepare(folder: Path) -> None:
    """Write the files that the examples read into a folder."""
    from tests.robustness import readers

    for name in readers.OF_EXAMPLES:
        readers.KINDS[name].make(folder)
    short_run().save(folder / "sound_run")
