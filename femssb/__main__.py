"""The command line: ``femssb doctor | mesh | run | plot``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import femssb
from femssb.environment.command import Parser, add_options, exit_code, read_options, summary
from femssb.units import um


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 after a one-line error message."""

    def work() -> None:
        options = _parser().parse_args(arguments)
        given = [read_options(options, function) for function in options.functions]
        options.functions[0](**{name: one for values in given for name, one in values.items()})

    return exit_code(work)


def _parser() -> Parser:
    parser = Parser(prog="femssb", description=summary(femssb))
    parser.add_argument("--version", action="version", version=femssb.__version__)
    commands = parser.add_subparsers(required=True, metavar="doctor | mesh | run | plot")
    for functions in ((doctor,), (mesh, _meshed), (run, _meshed), (plot,)):
        text = summary(functions[0])
        added = commands.add_parser(functions[0].__name__, help=text, description=text)
        added.set_defaults(functions=functions)
        for function in functions:
            add_options(added, function)
    return parser


def doctor() -> None:
    """Report which versions and engines this machine has."""
    from femssb.environment.doctor import doctor as examine

    report = examine()
    width = max(map(len, report))
    for name, value in report.items():
        print(f"{name:<{width}}  {value}")


def _meshed(
    size: Annotated[float, "um", "element size in the particle"] = 0.5 * um,
    grains: Annotated[int, "grains in the particle"] = 53,
    seed: Annotated[int, "seed of the tessellation"] = 1,
    radius: Annotated[float, "um", "radius of the particle"] = 5 * um,
    width: Annotated[float, "um", "side of the section"] = 15 * um,
    cathode: Annotated[float, "um", "thickness of the cathode"] = 15 * um,
    separator: Annotated[float, "um", "thickness of the separator"] = 10 * um,
) -> Any:  # naming MeshData here would load DOLFINx for every command
    particle = femssb.Polycrystal(radius=radius, grains=grains, seed=seed)
    cell = femssb.HalfCell(width=width, cathode=cathode, separator=separator, particles=(particle,))
    return femssb.mesh(cell, size=size)


def mesh(out: Annotated[Path, "file to write"] = Path("half_cell.msh"), **cell: Any) -> None:
    """Mesh a half-cell with one polycrystalline particle."""
    femssb.meshing.write(_meshed(**cell), out)


def run(
    c_rate: Annotated[float, "C-rate of charge and discharge"] = 1.0,
    upper: Annotated[float, "V", "voltage at which the charge ends"] = 4.3,
    lower: Annotated[float, "V", "voltage at which the discharge ends"] = 3.0,
    out: Annotated[Path, "folder to write"] = Path("results/cycle"),
    resume: Annotated[bool, "go on with a run that was stopped, if there is one"] = False,
    overwrite: Annotated[bool, "replace results that are in the folder"] = False,
    **cell: Any,
) -> None:
    """Charge and discharge such a half-cell (NCM111 in LLZO), and draw figures."""
    draw = femssb.plotting.cycle  # before hours of solving: it may lack its libraries
    protocol = (
        femssb.Charge(c_rate=c_rate, until_voltage=upper),
        femssb.Discharge(c_rate=c_rate, until_voltage=lower),
    )
    model = femssb.Model(_meshed(**cell), femssb.library.yuan2023.materials())
    simulation = femssb.Simulation(model, protocol)
    solution = simulation.run(out, resume="auto" if resume else False, overwrite=overwrite)
    solution.report()
    draw(solution, out)


def plot(folder: Annotated[Path, "folder of the results"]) -> None:
    """Draw the figures of a finished run into its folder."""
    femssb.plotting.cycle(femssb.Solution.load(folder), folder)


if __name__ == "__main__":
    sys.exit(main())
