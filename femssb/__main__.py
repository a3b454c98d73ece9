"""The command line: ``femssb doctor | new | run | plot | report | view | mesh``."""

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
    commands = parser.add_subparsers(
        required=True, metavar="doctor | new | run | plot | report | view | mesh"
    )
    for functions in ((doctor,), (new,), (run,), (plot,), (report,), (view,), (mesh, _meshed)):
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


def new(
    case: Annotated[Path, "file to write, case.toml"],
    overwrite: Annotated[bool, "replace a file that is there"] = False,
) -> None:
    """Write a case to begin with, with comments: geometry, materials, protocol, output."""
    from femssb.environment.files import make_folder, replacing

    if case.suffix != ".toml":
        raise femssb.InputError(f"new.case = {str(case)!r} must end in .toml")
    if case.exists() and not overwrite:
        raise femssb.InputError(f"{case} is there: --overwrite replaces it")
    make_folder(case.parent)
    with replacing(case) as temporary:
        template = Path(femssb.__file__).parent / "run" / "template.toml"
        temporary.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")


def run(
    case: Annotated[Path, "a .toml or .json file: `femssb new`, or the case.json of a run"],
    out: Annotated[Path | None, "folder of the results, in the place of that of the case"] = None,
    resume: Annotated[bool, "go on with a run that was stopped, if there is one"] = False,
    overwrite: Annotated[bool, "replace results that are in the folder"] = False,
    modules: Annotated[
        tuple[str, ...], "modules whose functions the case may name, besides those of femssb"
    ] = (),
) -> None:
    """Run the half-cell of a case file, and draw figures."""
    simulation = femssb.Simulation.from_case(case, modules=modules)
    folder = out or simulation.output.get("folder")
    if folder is None:
        raise femssb.InputError(f"{case} names no output.folder: give --out")
    figures = simulation.output.get("figures", True)
    draw = femssb.plotting.cycle if figures else None  # before hours of solving: it may lack parts
    solution = simulation.run(
        folder,
        resume="auto" if resume else False,
        overwrite=overwrite,
        fields=simulation.output.get("fields"),
    )
    solution.report()
    if draw is not None:
        draw(solution, folder)


def plot(folder: Annotated[Path, "folder of the results"]) -> None:
    """Draw the figures of a finished run into its folder."""
    femssb.plotting.cycle(femssb.Solution.load(folder), folder)


def report(
    folder: Annotated[Path, "folder of the results"],
    out: Annotated[Path | None, "page to write; report.html in the folder if left out"] = None,
) -> None:
    """Write a finished run as one page of HTML: curves, scenes to turn, tables of inputs."""
    solution = femssb.Solution.load(folder)
    femssb.plotting.report(solution, out or folder / "report.html", title=folder.resolve().name)


def view(
    folder: Annotated[Path, "folder of the results"],
    port: Annotated[int | None, "serve there, and open no browser: for one elsewhere"] = None,
) -> None:
    """Open an interactive 3-D view of a finished run in the browser."""
    femssb.plotting.view(femssb.Solution.load(folder), port=port)


if __name__ == "__main__":
    sys.exit(main())
