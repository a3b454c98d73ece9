"""Electrodes of Alabdali 2023: slurry, dried, calendered to rising degrees, and released.

Everything is made twice: with Table S1 of the paper, in the one reading that gives its densities,
and with a force field of our own in which beads have their true sizes, fill the volume of the
slurry once, and touch where the potential is lowest.
"""

from dataclasses import dataclass
from pathlib import Path

from mpi4py import MPI

from femssb import library
from femssb.packing import disperse, read
from femssb.particles import Calendering, Drying, Release, Slurry, process
from femssb.studies import Measurement
from femssb.units import um
from papers.alabdali2023.measures import ENLARGED, HAS_PORESPY, measure, weighed
from papers.alabdali2023.quantities import DRIED, label

ATMOSPHERE = library.alabdali2023.PRESSURE
FORCES = ("Table S1", "ours")


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much is made, and how fine.

    Attributes:
        beads: In an electrode.
        height: Of the box of the slurry over its width.
        degrees: Of calendering, shares of the thickness.
        released: Those after which the planes are taken away.
        spacing: Edge of the voxels [m].
        sheared: Beads of a flow curve.
    """

    beads: int
    height: float
    degrees: tuple[float, ...]
    released: tuple[float, ...]
    spacing: float
    sheared: int


COARSE = Level(
    beads=800,
    height=1.5,  # with few beads more grains across the thickness
    degrees=(0.1, 0.2, 0.3, 0.4, 0.5),
    released=(0.3, 0.5),
    spacing=0.5 * um,
    sheared=300,
)
FULL = Level(
    beads=5089,
    height=1.0,
    degrees=(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    released=(0.1, 0.2, 0.3, 0.4, 0.5),
    spacing=0.5 * um,
    sheared=1000,
)


def field_of(forces, formulation):
    """Return a force field by name, and the diameters at which its dried beads touch."""
    if forces == "Table S1":
        return library.alabdali2023.H1, ENLARGED
    return library.suspension(formulation), {}


def electrode(level, seed, out, forces="Table S1"):
    """Return the case whose result are the numbers of all states of an electrode."""
    formula = library.alabdali2023.formulation(beads=level.beads)
    field, enlargement = field_of(forces, formula)
    name = f"{forces}, {level.beads} beads, seed {seed}"
    return Measurement(
        name=name,
        function=make,
        arguments={"level": level, "seed": seed, "forces": forces, "folder": place(out, name)},
        made_from=[formula, field, enlargement, seed, HAS_PORESPY, *vars(level).values()],
    )


def place(out, name):
    """Return the folder of the stages of an electrode."""
    return Path(out) / "stages" / name.replace(", ", "_").replace(" ", "")


def make(level, seed, forces, folder):
    """Make an electrode in a folder, as far as it is not there, and return all its numbers.

    Returns:
        "state|name" -> value, in SI.
    """
    formula = library.alabdali2023.formulation(beads=level.beads)
    _, enlargement = field_of(forces, formula)
    numbers = {}
    for state, packing in states(level, seed, forces, folder).items():
        if state == "slurry":
            balance = formula.balance(box=float(packing.lengths.prod()))
            found = weighed(packing) | {
                "closed density": balance.closed_density,
                "beads over box": balance.beads / balance.box,
            }
        else:
            found = measure(packing, level.spacing, enlargement=enlargement)
        numbers |= {f"{state}|{name}": float(x) for name, x in (found | reported(packing)).items()}
    return numbers


def states(level, seed, forces, folder):
    """Return the packings of an electrode by the name of their state."""
    formula = library.alabdali2023.formulation(beads=level.beads)
    field, _ = field_of(forces, formula)
    pressure = ATMOSPHERE if forces == "Table S1" else None
    options = {"comm": MPI.COMM_SELF, "progress": False}

    def done(start, stages, name):
        return process(start, stages, formula, field, out=folder / name, **options)

    start = disperse(formula, seed=seed, height=level.height)
    slurry, dried = done(start, [Slurry(pressure=pressure), Drying()], "dried")
    found = {"slurry": slurry, DRIED: dried}
    presses = [Calendering(degree=degree) for degree in level.degrees]
    for degree, packing in zip(level.degrees, done(dried, presses, "calendered"), strict=True):
        found[label(degree)] = packing
        if degree in level.released:
            name = f"released_{100 * degree:g}"
            (found[f"released {label(degree)}"],) = done(packing, [Release()], name)
    return found


def reported(packing):
    """Return what the last stage reports: pressure on its planes, and the time it took."""
    report = packing.origin["stages"][-1]
    numbers = {"cpu": report["cpu_time"]}
    if "pressure on planes [Pa]" in report:
        numbers["pressure"] = report["pressure on planes [Pa]"]
    elif "pressures" in report:  # of the dry route
        numbers["pressure"] = report["pressures"]["zhi"]
    return numbers


def packings_in(case, out):
    """Return the packings that an electrode left, for pictures; empty if it is not finished."""
    folder = place(out, case.name)
    found = {}
    for name, file in (("slurry", "dried/01_slurry.h5"), (DRIED, "dried/02_drying.h5")):
        if (folder / file).exists():
            found[name] = read(folder / file)
    pressed = sorted((folder / "calendered").glob("*_calendering.h5"))
    degrees = case.arguments["level"].degrees
    found |= {label(degree): read(file) for degree, file in zip(degrees, pressed, strict=False)}
    return found
