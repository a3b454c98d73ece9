"""Studies: cases that differ in some input, run, kept, and compared with numbers from elsewhere.

A `Case` is everything that one result depends on; `run` runs cases, several at a time, and a
`Cache` keeps what is finished. A `Study` adds the trends to look for, figures and tables;
`perform` runs studies and writes their results on one page::

    python study.py --jobs 2             # processes
    mpirun -n 8 python study.py --jobs 4 # groups of two ranks
    python study.py --case 3             # one case, for a job array

Everything here loads without DOLFINx, which starts with the first half-cell that is run.
"""

from femssb.environment.packages import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
