"""What do pulses of current do to the interface of particle and electrolyte?

Teaches how a load follows a table: a `Profile`, here pulses of discharge with charge between them
as a car that brakes gives it, is followed by a `Drive` until a limit of voltage::

    mpirun -n 4 python demos/drive_cycle.py --size 0.8 --peak 3
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import Cycle, Drive, Profile, library, plotting
from femssb.units import um

# Time [s] and current over its peak, discharge positive. A time given twice is a jump.
PULSES = (
    (0, 0.0), (10, 0.4), (40, 0.4), (40, 1.0), (60, 1.0), (60, -0.5), (75, -0.5), (75, 0.2),
    (140, 0.3), (140, 0.0), (160, 0.0), (180, 0.8), (210, 0.8), (220, -0.3), (240, 0.0),
)  # fmt: skip
PANELS = ("Current [A]", "Voltage [V]", "Mean gap [m]", "Mean interface voltage drop [V]")


def main(
    size: Annotated[float, "um", "mesh size in the particle"] = 0.8 * um,
    grains: Annotated[int, "grains in the particle"] = 53,
    peak: Annotated[float, "largest C-rate"] = 2.0,
    rounds: Annotated[int, "times that the pulses are driven"] = 4,
    out: Annotated[str | Path, "folder for the results"] = "results/drive_cycle",
):
    times, shares = zip(*PULSES, strict=True)
    pulses = Profile(times=times, values=[peak * share for share in shares])
    drive = Drive(c_rate=pulses, until_voltage_below=3.0, until_voltage_above=4.4, fields="end")
    protocol = [
        "Charge at 1C until 4.3 V",
        "Rest for 10 minutes",
        Cycle(steps=[drive], count=rounds),
    ]

    particle = femssb.Polycrystal(radius=5 * um, grains=grains)
    cell = femssb.HalfCell(particles=(particle,))
    materials = library.yuan2023.materials(values=library.yuan2023.CALIBRATED)
    model = femssb.Model(femssb.mesh(cell, size=size), materials)
    solution = femssb.Simulation(model, protocol).run(out, resume="auto")
    solution.report()
    plotting.compare({f"pulses to {peak:g}C": solution}, PANELS, Path(out) / "drive_cycle.png")
    return solution


if __name__ == "__main__":
    sys.exit(femssb.command(main))
