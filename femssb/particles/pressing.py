"""`press`: packings taken through stages in LAMMPS, each stage kept in a folder as it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from femssb._version import __version__
from femssb.environment.ranks import communicator
from femssb.errors import FemssbError, InputError, Interrupted, NotConverged, shown
from femssb.inputs.case import fingerprint
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.packing.sizes import LARGEST, SMALLEST
from femssb.packing.stress import particle_stress
from femssb.particles.lammps.engine import FACES, Engine
from femssb.particles.laws import ContactLaw
from femssb.particles.rest import Rest, until_rest
from femssb.particles.servo import Servo
from femssb.particles.stages import Stage
from femssb.particles.workflow import Record, Show, check_options, take_through

if TYPE_CHECKING:
    from mpi4py import MPI

USUAL = Servo()

logger = logging.getLogger(__name__)


def press(
    packing: Packing,
    stages: Sequence[Stage] | Stage,
    law: ContactLaw,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
    progress: bool = True,
    servo: Servo = USUAL,
    resume: bool | Literal["auto"] = "auto",
    overwrite: bool = False,
) -> list[Packing]:
    """Take a packing through one or more stages.

    The contacts keep their history from one stage to the next. With a folder, the packing after
    every stage is written there at once, and a second call resumes after the last stage that is
    there and was made from the same packing, law and stages. SIGINT and SIGTERM end a stage where
    all ranks can do so together; a second one ends it at once.

    Args:
        packing: Where to start.
        stages: Done in this order.
        law: Of all contacts.
        out: Folder for the packing after every stage, ``01_uniaxial.h5`` and so on. Two presses
            cannot use the same folder at a time.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.
        servo: How the planes move, and when a packing counts as being at rest.
        resume: Whether to go on from what is in the folder; "auto" does so where there is anything.
        overwrite: Whether to do all stages anew where the folder holds any. Those that it holds
            stay until the first new one is there.

    Returns:
        The packing after every stage, with stress and contacts, the same on every rank; its
        `origin` reports on all stages behind it.

    Raises:
        InputError: Before any work, if an argument is of the wrong kind, a phase is unknown, a
            stage does not suit the packing, another press uses the folder, or the folder holds
            stages that are damaged or of another press. Later, if there is no room on the disk;
            the stages that are done stay, and a second call resumes after them.
        EngineError: If LAMMPS is missing, lacks a package or stops.
        NotConverged: If a stage does not come to rest; what came before it is in the folder, and
            so is the state that it reached, as ``..._unfinished.h5``.
        Interrupted: After a signal; the same is in the folder.
    """
    stages = [stages] if isinstance(stages, Stage) else stages
    _check(packing, stages, law, servo)
    check_options("press", out, progress, resume, overwrite)
    comm = communicator(comm)

    def work(
        start: Packing, stage: Stage, record: Record, state: Path | None, show: Show
    ) -> Packing:
        with Engine(stage.prepared(start), law, comm, state=state) as engine:
            return _settled(engine, start, stage, servo, record, show)

    return take_through(
        "press",
        packing,
        stages,
        key=lambda start, stage: _key(start, stage, law, servo),
        work=work,
        out=out,
        comm=comm,
        progress=progress,
        resume=resume,
        overwrite=overwrite,
    )


def _settled(
    engine: Engine, start: Packing, stage: Stage, servo: Servo, record: Record, show: Show
) -> Packing:
    """Do a stage, and record its end, or where it got stuck or was stopped."""
    started = time.process_time()
    rest = until_rest(engine, stage, servo, show)
    used = engine.comm.allreduce(time.process_time() - started)
    report = _report(engine, stage, rest) | {"cpu_time": used, "key": record.key}
    made = [*start.origin.get("stages", []), report]
    reached = engine.packing(rest.contacts, {**start.origin, "femssb": __version__, "stages": made})
    if rest.settled:
        report["state"] = engine.save(record.state)
        reached = replace(reached, origin={**reached.origin, "stages": made})
    reached = replace(reached, stress=particle_stress(reached))
    outcome: FemssbError | Interrupted | None = rest.stopped
    if not rest.settled and not rest.stopped:
        residuals = {
            "unbalanced over allowed": rest.balance.unbalanced / servo.balance,
            "pressure error over allowed": rest.pressure_error / servo.pressure_error,
        }
        name = type(stage).__name__
        outcome = NotConverged(f"{name} did not come to rest", step=rest.steps, residuals=residuals)
    record.keep(engine.comm, reached, outcome)
    logger.info("%s: %d steps", stage.label, rest.steps)
    return reached


def _report(engine: Engine, stage: Stage, rest: Rest) -> dict[str, Any]:
    """Return what is kept of how a stage went."""
    times = engine.time_steps()
    usual = float(np.median(times))
    return {
        "stage": type(stage).__name__,
        **asdict(stage),
        "steps": rest.steps,
        "unbalanced": rest.balance.unbalanced,
        "pressures": dict(zip(FACES, rest.balance.pressures.tolist(), strict=True)),
        "time_step": usual,  # [s]; masses at it over true ones:
        "mass_scaling": ((usual / np.array([times.max(), times.min()])) ** 2).tolist(),
        "highest_speed": rest.highest_speed / usual,  # of a plane [m/s]
        "highest_inertia": rest.highest_inertia,
        "settled": rest.settled,
    }


def _check(packing: Packing, stages: Sequence[Stage], law: ContactLaw, servo: Servo) -> None:
    """Raise InputError for what would fail later."""
    for name, value, kind in (
        ("packing", packing, Packing),
        ("law", law, ContactLaw),
        ("servo", servo, Servo),
    ):
        if not isinstance(value, kind):
            raise InputError(f"press: {name} must be a {kind.__name__}, got {shown(value)}")
    if not isinstance(stages, (list, tuple)):
        raise InputError(
            f"press: stages must be a list, in which they are done, got {shown(stages)}"
        )
    _check_spheres(packing)
    if not stages:
        raise InputError("press: there are no stages")
    for name in packing.phase_names:
        if name not in law.solids:
            raise InputError(f"press: the contact law has no solid for phase {name!r}")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise InputError(f"press: {shown(stage)} is not a stage")
        stage.check(packing)
        packing = stage.expected(packing)


def _check_spheres(packing: Packing) -> None:
    """Raise InputError for spheres that cannot be pressed."""
    if len(packing.radii) == 0:
        raise InputError("press: the packing has no spheres")
    smallest, largest = 2 * float(packing.radii.min()), 2 * float(packing.radii.max())
    if not SMALLEST <= smallest <= largest <= LARGEST:
        raise InputError(
            f"press: diameters go from {smallest:g} to {largest:g} m, outside [{SMALLEST:g}, "
            f"{LARGEST:g}] m: are they in metres?"
        )
    beyond = np.maximum(packing.lower - packing.positions, packing.positions - packing.upper)
    closed = ~np.array(packing.periodic)
    lost = np.flatnonzero(np.any(closed & (beyond >= packing.radii[:, None]), axis=1))
    if len(lost):
        raise InputError(
            f"press: sphere {lost[0]} at {packing.positions[lost[0]]} m lies wholly beyond a plane "
            f"of the box, {packing.lower} to {packing.upper} m"
        )
    centres = wrapped(packing.positions, packing.period, packing.lower)
    if len(np.unique(centres, axis=0)) < len(centres):
        raise InputError("press: two spheres of the packing have the same centre")


def _key(packing: Packing, stage: Stage, law: ContactLaw, servo: Servo) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    before = [report["key"] for report in packing.origin.get("stages", [])[-1:]]
    bare = replace(packing, origin={}, stress=None)
    # A stage that came to rest did not need more steps, however many were allowed.
    return fingerprint(before, bare, stage, law, replace(servo, most_steps=1))
