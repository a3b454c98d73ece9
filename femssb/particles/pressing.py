"""`press`: packings taken through stages in LAMMPS, each stage kept in a folder as it ends."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from femssb._version import __version__
from femssb.environment.files import make_folder
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import InputError, NotConverged
from femssb.packing import files
from femssb.packing.packing import Contacts, Packing
from femssb.packing.stress import particle_stress
from femssb.particles.lammps.engine import FACES, Engine
from femssb.particles.laws import ContactLaw
from femssb.particles.servo import BALANCE, PRESSURE_ERROR, until_rest
from femssb.particles.stages import Isostatic, Stage, Swell
from femssb.units import MPa

if TYPE_CHECKING:
    from mpi4py import MPI

NARROWEST = 1.98  # distance of periodic sides over the largest diameter: two, but for the share by
# which a recipe scales its sizes to meet its volume

logger = logging.getLogger(__name__)


def press(
    packing: Packing,
    stages: Sequence[Stage] | Stage,
    law: ContactLaw,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
    progress: bool = True,
) -> list[Packing]:
    """Take a packing through one or more stages.

    The contacts keep their history from one stage to the next. With a folder, the packing after
    every stage is written there at once, and a second call goes on after the last stage that is
    there and was made from the same packing, law and stages.

    Args:
        packing: Where to start.
        stages: What to do, in this order.
        law: Of all contacts.
        out: Folder for the packing after every stage, ``01_uniaxial.h5`` and so on.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.

    Returns:
        The packing after every stage, with stress and contacts, the same on every rank; its
        `origin` reports on all stages behind it.

    Raises:
        InputError: If a phase is unknown, or periodic sides are so near that two spheres could
            touch twice, before any work.
        EngineError: If LAMMPS is missing, lacks a package or stops.
        NotConverged: If a stage does not come to rest; what came before it is in the folder, and
            so is the state that it reached, as ``..._unfinished.h5``.
    """
    stages = [stages] if isinstance(stages, Stage) else list(stages)
    _check(packing, stages, law)
    comm = communicator(comm)
    done: list[Packing] = []
    state = None  # where the last stage left that of its engine
    with _folder(out, comm) as folder:
        for number, stage in enumerate(stages, start=1):
            start = done[-1] if done else packing
            record = _Record(folder, number, stage, _key(start, stage, law))
            finished = from_first_rank(comm, record.read)
            if finished is None:
                label = (
                    f"{number}/{len(stages)} {type(stage).__name__} {stage.pressure / MPa:.3g} MPa"
                )
                show = label if progress and comm.rank == 0 else ""
                finished = _pressed(start, stage, law, comm, state, record, show)
            done.append(finished)
            state = record.state
    return done


def _pressed(
    packing: Packing,
    stage: Stage,
    law: ContactLaw,
    comm: MPI.Intracomm,
    state: Path | None,
    record: _Record,
    show: str,
) -> Packing:
    """Do one stage, and record its end, or where it got stuck."""
    before = _between_planes(packing) if isinstance(stage, Isostatic) else packing
    with Engine(before, law, comm, state=state) as engine:
        started = time.process_time()
        rest = until_rest(engine, stage, show=show)
        times = engine.time_steps()
        report = {
            "stage": type(stage).__name__,
            **asdict(stage),
            "steps": rest.steps,
            "unbalanced": rest.balance.unbalanced,
            "pressures": dict(zip(FACES, rest.balance.pressures.tolist(), strict=True)),
            "time_step": float(np.median(times)),  # [s]; masses at it over true ones:
            "mass_scaling": (
                (np.median(times) / np.array([times.max(), times.min()])) ** 2
            ).tolist(),
            "highest_speed": rest.highest_speed / float(np.median(times)),  # of a plane [m/s]
            "highest_inertia": rest.highest_inertia,
            "cpu_time": comm.allreduce(time.process_time() - started),
            "settled": rest.settled,
            "key": record.key,
        }
        made = [*packing.origin.get("stages", []), report]
        origin = {**packing.origin, "femssb": __version__, "stages": made}
        reached = engine.packing(rest.contacts, origin)
        if rest.settled:
            report["state"] = engine.save(record.state)
    reached = replace(reached, stress=particle_stress(reached))
    from_first_rank(comm, lambda: record.write(reached, rest.settled))
    if not rest.settled:
        raise NotConverged(
            f"{type(stage).__name__} did not come to rest",
            step=rest.steps,
            residuals={
                "unbalanced over allowed": rest.balance.unbalanced / BALANCE,
                "pressure error over allowed": rest.pressure_error / PRESSURE_ERROR,
            },
        )
    logger.info("%s at %g MPa: %d steps", report["stage"], stage.pressure / MPa, report["steps"])
    return reached


class _Record:
    """What a stage leaves in the folder: its packing, and the state of the engine beside it."""

    def __init__(self, folder: Path, number: int, stage: Stage, key: str) -> None:
        name = f"{number:02d}_{type(stage).__name__.lower()}"
        self.key = key
        self.path = folder / f"{name}.h5"
        self.unfinished = folder / f"{name}_unfinished.h5"
        self.state = folder / f"{name}_{key}.restart"

    def read(self) -> Packing | None:
        """Return the packing, or None if the stage was not finished from the same start.

        Raises:
            InputError: If a file is cut short.
        """
        if not self.path.exists():
            return None
        found = files.read(self.path)
        made = found.origin.get("stages", [])
        if not made or made[-1]["key"] != self.key:
            return None
        size = self.state.stat().st_size if self.state.exists() else None
        if size != made[-1]["state"]:
            raise InputError(
                f"press: {self.state.name} has {size} bytes instead of {made[-1]['state']}; delete "
                f"{self.path.name} to do this stage anew"
            )
        return found

    def write(self, packing: Packing, settled: bool) -> None:
        """Write the packing, whole or not at all."""
        files.write(packing, self.path if settled else self.unfinished)
        if settled:
            self.unfinished.unlink(missing_ok=True)


@contextmanager
def _folder(out: str | Path | None, comm: MPI.Intracomm) -> Iterator[Path]:
    """Make a folder that LAMMPS can write into, a temporary one if none is asked for."""
    if out is not None and any(letter in str(out) for letter in '%*"'):
        raise InputError(f'press: out = {str(out)!r} must not hold any of the letters % * "')
    if out is not None:
        yield from_first_rank(comm, lambda: make_folder(Path(out)))
        return
    path = from_first_rank(comm, lambda: Path(tempfile.mkdtemp(prefix="femssb_")))
    try:
        yield path
    finally:
        if comm.rank == 0:
            shutil.rmtree(path, ignore_errors=True)


def _check(packing: Packing, stages: Sequence[Stage], law: ContactLaw) -> None:
    """Raise InputError for what would fail later."""
    if len(packing.radii) == 0:
        raise InputError("press: the packing has no spheres")
    if not stages:
        raise InputError("press: there are no stages")
    periodic = packing.periodic
    diameters = 2 * packing.radii
    for stage in stages:
        if not isinstance(stage, Stage):
            raise InputError(f"press: {stage!r} is not a stage")
        if isinstance(stage, Swell) and stage.phase not in packing.phase_names:
            raise InputError(
                f"press: Swell.phase = {stage.phase!r}, but the packing has {packing.phase_names!r}"
            )
        if isinstance(stage, Swell):
            grown = packing.of_phase(stage.phase)
            diameters = np.where(grown, stage.factor() * diameters, diameters)
        if isinstance(stage, Isostatic):
            periodic = (False, False, False)
        for axis in np.flatnonzero(periodic):
            if packing.lengths[axis] < NARROWEST * diameters.max():
                raise InputError(
                    f"press: the sides across {'xyz'[axis]} are periodic and "
                    f"{packing.lengths[axis]:g} m apart, but the largest diameter is "
                    f"{diameters.max():g} m: two spheres could touch twice"
                )
        if periodic[2] or (isinstance(stage, Swell) and all(periodic)):
            raise InputError(f"press: {type(stage).__name__} needs planes across z")
    for name in packing.phase_names:
        if name not in law.solids:
            raise InputError(f"press: the contact law has no solid for phase {name!r}")


def _between_planes(packing: Packing) -> Packing:
    """Return a packing whose periodic sides, if any, became planes that just touch its spheres.

    Contacts across these sides are gone; the others keep what they remember.
    """
    if not any(packing.periodic):
        return packing
    positions = np.array(packing.positions)
    lower, upper = np.array(packing.lower), np.array(packing.upper)
    for axis in np.flatnonzero(packing.periodic):
        length = upper[axis] - lower[axis]
        positions[:, axis] = lower[axis] + (positions[:, axis] - lower[axis]) % length
        lower[axis] = np.min(positions[:, axis] - packing.radii)
        upper[axis] = np.max(positions[:, axis] + packing.radii)
    contacts = packing.contacts
    if contacts is not None:
        straight = positions[contacts.second] - positions[contacts.first]
        away = np.linalg.norm(straight - contacts.branches, axis=1)
        kept = ~contacts.between_spheres | (away < packing.radii[contacts.first])
        contacts = Contacts(
            first=contacts.first[kept],
            second=contacts.second[kept],
            branches=contacts.branches[kept],
            forces=contacts.forces[kept],
            memory=None if contacts.memory is None else contacts.memory[kept],
        )
    return replace(
        packing,
        positions=positions,
        lower=lower,
        upper=upper,
        periodic=(False, False, False),
        stress=None,
        contacts=contacts,
    )


def _key(packing: Packing, stage: Stage, law: ContactLaw) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    hashed = hashlib.sha256()
    made = packing.origin.get("stages", [])
    if made:
        hashed.update(made[-1]["key"].encode())
    for array in (packing.positions, packing.radii, packing.phases, packing.lower, packing.upper):
        hashed.update(np.ascontiguousarray(array).tobytes())
    inputs = [packing.phase_names, packing.periodic, type(stage).__name__, asdict(stage)]
    inputs += [type(law).__name__, asdict(law)]
    hashed.update(json.dumps(inputs, sort_keys=True).encode())
    return hashed.hexdigest()[:16]
