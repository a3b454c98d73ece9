"""The command line: ``femssb doctor | mesh | run | plot``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import femssb
from femssb.errors import FemssbError
from femssb.units import um


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 after a one-line error message."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except FemssbError as error:
        print(f"femssb: {error}", file=sys.stderr)
        return 2
    return 0


def _doctor(_: argparse.Namespace) -> None:
    from femssb import _platform

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


def _plot(options: argparse.Namespace) -> None:
    from femssb import plotting

    plotting.cycle(femssb.Solution.load(options.folder), options.folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
    mesh.add_argument("--size", type=float, default=0.5, help="element size at the interface [um]")
    mesh.add_argument("--grains", type=int, default=53, help="grains in the particle")
    mesh.add_argument("--seed", type=int, default=1, help="seed of the tessellation")
    mesh.add_argument("--radius", type=float, default=5.0, help="radius of the particle [um]")
    mesh.add_argument("--width", type=float, default=15.0, help="side of the cross-section [um]")
    mesh.add_argument("--cathode", type=float, default=15.0, help="thickness of the cathode [um]")
    mesh.add_argument("--separator", type=float, default=10.0, help="and of the separator [um]")
    mesh.add_argument("--out", type=Path, default=Path("half_cell.msh"), help="file to write")

    plot = add("plot", _plot, "draw the figures of a finished run into its folder")
    plot.add_argument("folder", type=Path, help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
