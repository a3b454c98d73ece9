"""Electrodes and flow curves of Alabdali 2024 (wet): two cathodes, three solid contents.

The force field of this paper is in its supplement; that of the first paper stands for it. Dried
electrodes are calendered in two ways: with its elastic contacts, to the porosity of the paper, and
with contacts that yield, at the pressure of the paper's press.
"""

from dataclasses import dataclass

from mpi4py import MPI

from femssb import library
from femssb.packing import disperse, read
from femssb.particles import (
    Calendering,
    Compaction,
    Drying,
    ElasticPlastic,
    Porous,
    Release,
    Slurry,
    Uniaxial,
    press,
    process,
    yield_pressure,
)
from femssb.studies import Measurement
from femssb.units import MPa, um
from papers.alabdali2023.electrodes import ATMOSPHERE, place, reported
from papers.alabdali2023.measures import ENLARGED, PORES, measure, weighed
from papers.alabdali2024wet.quantities import (
    CALENDERED,
    DRIED,
    FITTED,
    FREED,
    HELD,
    LOADED,
    content_label,
)

PRESS = 102 * MPa  # 1.6 t on a punch of 14 mm, Cell Assembly
AIM = 0.25  # porosity of calendered electrodes, the middle of 20 to 30 %, section 2.2

# Contacts that yield: those of the dry route, with pores of the binder that collapse. The active
# material is too hard to yield here.
SOLIDS = {"AM": library.NCM811, "SE": library.LI6PS5CL, "CBD": library.CBD}
YIELDING = ElasticPlastic(
    solids=SOLIDS,
    yield_pressures={name: yield_pressure(SOLIDS[name]) for name in ("SE", "CBD")},
    friction=0.5,
)
NANOPORES = Porous(phase="CBD", porosity=PORES, strength=library.CBD.yield_strength)


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much is made, and how fine.

    Attributes:
        beads: In an electrode.
        height: Of the box of the slurry over its width: of so few beads a cube would leave one or
            two grains of active material across the thickness, which then carry the press.
        spacing: Edge of the voxels [m].
        sheared: Beads of a flow curve.
        rates: Of a flow curve [1/s].
    """

    beads: int
    height: float
    spacing: float
    sheared: int
    rates: tuple[float, ...]


COARSE = Level(beads=2000, height=2.0, spacing=0.3 * um, sheared=800, rates=(50.0, 100.0, 1000.0))
FULL = Level(
    beads=5051,
    height=2.0,
    spacing=0.2 * um,
    sheared=1000,
    rates=(10.0, 50.0, 100.0, 300.0, 1000.0),
)


def formulation_of(slurry, beads):
    """Return the formulation of a cathode and a solid content."""
    cathode, content = slurry
    return library.alabdali2023.second_formulation(
        cathode=cathode, solid_content=content, beads=beads
    )


def electrode(level, slurry, seed, out):
    """Return the case whose result are the numbers of all states of an electrode."""
    formula = formulation_of(slurry, level.beads)
    name = f"{slurry[0]}, {content_label(slurry[1])}, {level.beads} beads, seed {seed}"
    arguments = {"level": level, "slurry": slurry, "seed": seed, "folder": place(out, name)}
    made_from = [formula, library.alabdali2023.H1, ENLARGED, seed, level.height, level.spacing]
    made_from += [PRESS, AIM, YIELDING, NANOPORES]
    return Measurement(name=name, function=make, arguments=arguments, made_from=made_from)


def make(level, slurry, seed, folder):
    """Make an electrode in a folder, as far as it is not there, and return all its numbers.

    Returns:
        "state|name" -> value, in SI.
    """
    formula = formulation_of(slurry, level.beads)
    numbers = {}
    for state, packing in states(level, slurry, seed, folder).items():
        if state == "slurry":
            balance = formula.balance(box=float(packing.lengths.prod()))
            found = weighed(packing) | {
                "closed density": balance.closed_density,
                "beads over box": balance.beads / balance.box,
            }
        else:
            touching = {} if state in (LOADED, CALENDERED) else ENLARGED
            found = measure(packing, level.spacing, enlargement=touching, fitted=FITTED)
        numbers |= {f"{state}|{name}": float(x) for name, x in (found | reported(packing)).items()}
    return numbers


def states(level, slurry, seed, folder):
    """Return the packings of an electrode by the name of their state."""
    formula = formulation_of(slurry, level.beads)
    options = {"comm": MPI.COMM_SELF, "progress": False}

    def done(start, stages, name):
        forces = library.alabdali2023.H1
        return process(start, stages, formula, forces, out=folder / name, **options)

    start = disperse(formula, seed=seed, height=level.height)
    wet, dried = done(start, [Slurry(pressure=ATMOSPHERE), Drying()], "dried")
    degree = max(1 - (1 - weighed(dried)["porosity"]) / (1 - AIM), 0.01)
    found = {"slurry": wet, DRIED: dried}
    if seed == 1:  # of the others the elastic branch would cost most and say least
        held, freed = done(dried, [Calendering(degree=degree), Release()], "elastic")
        found |= {HELD: held, FREED: freed}
    pressing = [Compaction(pressure=PRESS, porous=NANOPORES), Uniaxial(pressure=ATMOSPHERE)]
    loaded, calendered = press(dried, pressing, YIELDING, out=folder / "plastic", **options)
    return found | {LOADED: loaded, CALENDERED: calendered}


FILES = {  # of the states, in the folder of an electrode
    "slurry": "dried/01_slurry.h5",
    DRIED: "dried/02_drying.h5",
    HELD: "elastic/01_calendering.h5",
    FREED: "elastic/02_release.h5",
    LOADED: "plastic/01_compaction.h5",
    CALENDERED: "plastic/02_uniaxial.h5",
}


def packings_in(case, out):
    """Return the packings that an electrode left, for pictures, as far as they are there."""
    folder = place(out, case.name)
    return {name: read(folder / file) for name, file in FILES.items() if (folder / file).exists()}
