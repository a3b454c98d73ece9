"""Every result of Yuan 2023 on one page, the numbers of the paper next to ours.

C. Yuan, W. Lu, J. Xu, "Electrochemical-Mechanical Coupling Failure Mechanism of Composite Cathode
in All-Solid-State Batteries" (2023)::

    mpirun -n 2 python papers/yuan2023/reproduce.py --coarse --jobs 2
    python papers/yuan2023/reproduce.py --coarse --case 3    # one case: for a job array

A case that is finished is not run again, one that was stopped resumes from its checkpoint; studies
that have a case in common share it.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import femssb
from femssb.library import yuan2023
from femssb.studies import perform
from femssb.units import um

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.yuan2023 import (
    heterogeneity,
    liquid,
    position,
    pressure,
    rates,
    realisations,
    strength,
)

STUDIES = {
    "rates": rates.study,
    "heterogeneity": heterogeneity.study,
    "strength": strength.study,
    "pressure": pressure.study,
    "position": position.study,
    "liquid": liquid.study,
    "realisations": realisations.study,
}
SETS = {  # the two parameter sets that stand side by side in every table
    "as printed": yuan2023.materials,
    "calibrated": lambda: yuan2023.materials(values=yuan2023.CALIBRATED),
}
COARSE = 1.2 * um

Names = Literal[
    "rates", "heterogeneity", "strength", "pressure", "position", "liquid", "realisations"
]


def main(
    size: Annotated[float, "um", "mesh size in the particles"] = 0.8 * um,
    coarse: Annotated[bool, "meshes of 1.2 um"] = False,
    studies: Annotated[tuple[Names, ...], "studies to run"] = tuple(STUDIES),
    sets: Annotated[tuple[Literal["as printed", "calibrated"], ...], "parameters"] = tuple(SETS),
    jobs: Annotated[int, "cases at a time, which share the ranks"] = 1,
    case: Annotated[int | None, "run this case only, from 1; writes no page"] = None,
    out: Annotated[str | Path, "folder for the results"] = "results/yuan2023",
):
    size = COARSE if coarse else size
    perform(
        *({name: STUDIES[study](SETS[name](), size) for name in sets} for study in studies),
        out=out,
        title=f"Yuan 2023 reproduced, mesh size {size / um:g} um",
        jobs=jobs,
        case=case,
    )


if __name__ == "__main__":
    sys.exit(femssb.command(main))
