"""Every result of paper 002 on one page: all studies, the paper's numbers beside ours.

    mpirun -n 2 python demos/reproduce_paper002.py --coarse --jobs 2

Writes ``paper002.md`` and ``paper002.html`` with all figures, beside the tables of each study.
"""

import c_rate_study
import heterogeneity_study
import interface_strength_study
import liquid_electrolyte
import particle_position_study
import pressure_study
import realisations_study
from paper002 import parser, perform

COARSE = 1.2  # [um]
STUDIES = [
    c_rate_study.STUDY,
    heterogeneity_study.STUDY,
    interface_strength_study.STUDY,
    pressure_study.STUDY,
    particle_position_study.STUDY,
    liquid_electrolyte.STUDY,
    realisations_study.STUDY,
]


def main():
    """Run every study as the arguments say."""
    arguments = parser(__doc__)
    arguments.add_argument("--coarse", action="store_true", help=f"meshes of {COARSE:g} um")
    given = arguments.parse_args()
    if given.coarse:
        given.size = COARSE
    perform(STUDIES, given, page="paper002")


if __name__ == "__main__":
    main()
