"""The command line: ``femssb doctor | mesh | run | plot``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import femssb
from femssb.errors import FemssbError, InputError
from femssb.units import um


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 after a one-line error message."""

    def command() -> None:
        options = _parser().parse_args(arguments)
        options.command(options)

    return exit_code(command)


class Parser(argparse.ArgumentParser):
    """Reads arguments; a wrong one is an `InputError` like any other bad input."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, which every rank would do."""
        raise InputError(f"{message} (see --help)")


def exit_code(command: Callable[[], object]) -> int:
    """Run a command and return 0, or 2 after the one line that says what is wrong."""
    try:
        command()
    except FemssbError as error:
        if _is_first_rank():
            print(f"femssb: {error}", file=sys.stderr)
        return 2
    return 0


def _is_first_rank() -> bool:
    try:
        import femssb.environment.platform

        from mpi4py import MPI
    except (ImportError, FemssbError):  # they may be what is missing
        return True
    return bool(MPI.COMM_WORLD.rank == 0)


def _doctor(_: argparse.Namespace) -> None:
    from femssb.environment import platform as _platform

    report = _platform.doctor()
    width = max(map(len, report))
    for name, value in report.items():
        print(f"{name:<{width}}  {value}")


def _half_cell(options: argparse.Namespace) -> femssb.HalfCell:
    particle = femssb.Polycrystal(
        radius=options.radius * um, grains=options.grains, seed=options.seed
    )
    return femssb.HalfCell(
        width=options.width * um,
        cathode=options.cathode * um,
        separator=options.separator * um,
        particles=(particle,),
    )


def _mesh(options: argparse.Namespace) -> None:
    from femssb import meshing

    meshing.write(femssb.mesh(_half_cell(options), size=options.size * um), options.out)


def _run(options: argparse.Namespace) -> None:
    from femssb import library, plotting

    protocol = (
        femssb.Charge(c_rate=options.c_rate, until_voltage=options.upper),
        femssb.Discharge(c_rate=options.c_rate, until_voltage=options.lower),
    )
    model = femssb.Model(
        femssb.mesh(_half_cell(options), size=options.size * um), library.yuan2023.materials()
    )
    solution = femssb.Simulation(model, protocol).run(options.out, resume=options.resume)
    solution.report()
    plotting.cycle(solution, options.out)


def _plot(options: argparse.Namespace) -> None:
    from femssb import plotting

    plotting.cycle(femssb.Solution.load(options.folder), options.folder)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="femssb",
        description="Electro-chemo-mechanics of solid-state-battery cathodes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=femssb.__version__)
    commands = parser.add_subparsers(required=True, metavar="doctor | mesh | run | plot")

    def add(name: str, command: object, summary: str) -> argparse.ArgumentParser:
        """Add a command with its one line of help."""
        added = commands.add_parser(
            name,
            help=summary,
            description=summary,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        added.set_defaults(command=command)
        return added

    add("doctor", _doctor, "say which versions and engines this machine has")

    mesh = add("mesh", _mesh, "mesh a half-cell with one polycrystalline particle")
    run = add("run", _run, "charge and discharge such a half-cell (NCM111 in LLZO), with figures")
    for one in (mesh, run):
        one.add_argument("--size", type=float, default=0.5, help="element size in particles [um]")
        one.add_argument("--grains", type=int, default=53, help="grains in the particle")
        one.add_argument("--seed", type=int, default=1, help="seed of the tessellation")
        one.add_argument("--radius", type=float, default=5.0, help="radius of the particle [um]")
        one.add_argument("--width", type=float, default=15.0, help="side of the section [um]")
        one.add_argument("--cathode", type=float, default=15.0, help="cathode thickness [um]")
        one.add_argument("--separator", type=float, default=10.0, help="and the separator's [um]")
    mesh.add_argument("--out", type=Path, default=Path("half_cell.msh"), help="file to write")
    run.add_argument("--c-rate", type=float, default=1.0, help="C-rate of both half-cycles")
    run.add_argument("--upper", type=float, default=4.3, help="end of the charge [V]")
    run.add_argument("--lower", type=float, default=3.0, help="end of the discharge [V]")
    run.add_argument("--out", type=Path, default=Path("results/cycle"), help="folder to write")
    run.add_argument("--resume", action="store_true", help="go on with a run that was stopped")

    plot = add("plot", _plot, "draw the figures of a finished run into its folder")
    plot.add_argument("folder", type=Path, help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
