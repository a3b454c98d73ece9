"""LAMMPS as the engine of a drying film: spheres in a liquid whose surface falls.

Motion in the liquid knows no inertia: a force F moves a sphere at F / (6 pi eta r). Only ratios of
speeds count, so lengths are in um, and the time unit is that in which the liquid falls by 1 um; all
forces are over 6 pi eta. Masses are no more than what lets LAMMPS integrate: they are so small that
a sphere stops within `INERTIA` of its radius.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import EngineError
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.particles.lammps.engine import _engine_errors, _start

if TYPE_CHECKING:
    from mpi4py import MPI

LENGTH = 1e-6  # [m]
OVERLAP = 0.1  # largest radius that a sphere is pressed in by at the last pressure, over itself
MARGIN = 2.0  # last pressure over that of all spheres dragged at once, which does not stop the film
LIGHT = (
    0.01  # drag of binder, through which liquid drains, over that of a solid sphere: it moves none
)
BLOB = 0.5  # depth to which two binder beads meet in their random motion, over their radius
KICK = 0.3  # way of random motion at once, over the smallest radius
INERTIA = 0.01  # way on which a sphere without forces stops, over the smallest radius
STEP = 0.2  # time step over that in which a contact pushes a sphere apart
KICKS = 10  # of random motion in a turn
FLOW = 20  # turns over which the flow of spheres is averaged
_NEEDED = {
    ("pair", "granular"): "GRANULAR",
    ("pair", "harmonic/cut"): "EXTRA-PAIR",
    ("fix", "wall/gran/region"): "GRANULAR",
}


class FilmEngine:
    """A running LAMMPS simulation of a film; use it in `with`.

    Attributes:
        height: Of the surface over the floor, which is at 0 [m].
        time: Since the start [s].
    """

    def __init__(
        self,
        packing: Packing,
        comm: MPI.Intracomm | None = None,
        *,
        binder: NDArray[np.bool_],
        evaporation: float,
        settling: Array,
        diffusivities: Array,
        passing: float,
        seed: int,
    ) -> None:
        """Start LAMMPS and put the film in it.

        Args:
            packing: Spheres between the floor, at its lower side, and the surface, its upper one.
            comm: The ranks that share the work; all of `MPI.COMM_WORLD` if left out.
            binder: Which spheres move with the liquid through pores, shape (n,).
            evaporation: Speed at which the surface falls [m/s].
            settling: Speed at which each sphere would sink alone, shape (n,) [m/s].
            diffusivities: Of each sphere alone, shape (n,) [m2/s].
            passing: Radius of binder towards all but binder and the surface, over its radius.
            seed: Of the random motion.
        """
        self._packing, self._binder = packing, binder
        self._rate = evaporation
        self._settling = settling / evaporation  # of all speeds, over that of the surface
        self._diffusivities = diffusivities / (evaporation * LENGTH)
        self._radii = packing.radii / LENGTH
        self._touching = np.where(binder, passing, 1.0) * self._radii
        self._drags = np.where(binder, LIGHT, 1.0) * self._radii  # over 6 pi eta
        self._random = np.random.default_rng([seed, 2])
        self._floor = packing.lower[2]
        self._top = float(packing.lengths[2]) / LENGTH
        self._start_top = self._top
        self._speed, self._elapsed = 0.0, 0.0
        lengths = packing.lengths / LENGTH
        self._area = float(lengths[0] * lengths[1])
        self._set_stiffness()
        self._slices = max(4, round(self._top / (2 * self._radii.max())))
        self._flow = np.zeros(self._slices)
        self._before: Array | None = None
        self._lammps, self.comm = _start(comm)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            with _engine_errors(self.comm):
                self._build()
            on_failure.pop_all()

    def __enter__(self) -> FilmEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End LAMMPS."""
        self._lammps.close()

    def _set_stiffness(self) -> None:
        """Set springs, the pressure that stops the surface, time step and kicks.

        The springs are as stiff as the forces demand: those of the whole film dragged at once, and
        those of random motion.
        """
        radii, binder = self._radii, self._binder
        dragged = np.sum(self._drags * (1 + self._settling)) / self._area
        random = np.sum(self._drags * self._diffusivities * ~binder) / (self._area * self._top)
        self.last_pressure = MARGIN * float(dragged + random)
        own = float(radii.max())
        fast = 1 + float(np.max(np.abs(self._settling)))
        stiff = max(4 * self.last_pressure * own, MARGIN * fast) / OVERLAP
        self._stiffness = stiff
        least = float(np.min(radii[~binder] / stiff, initial=np.inf))
        self._soft = 0.0
        if binder.any():
            blob = float(radii[binder].mean())
            thermal = 2 * float(self._diffusivities[binder].mean()) / (BLOB * blob) ** 2
            layers = self._top / (2 * blob)
            dragging = layers / (BLOB * blob)
            self._soft = LIGHT * blob * max(thermal, dragging)
            least = min(least, LIGHT * float(radii[binder].min()) / self._soft)
        size = float(np.min(radii))
        # Time in which the motion of a sphere without forces ends.
        self._stop = min(0.5 * least, INERTIA * size / fast)
        self._step = min(STEP * least, 0.4 * self._stop)
        fastest = float(np.max(self._diffusivities))
        diffuse = (KICK * size) ** 2 / (2 * fastest) if fastest else np.inf
        swept = KICK * size / fast
        self._interval = int(np.clip(min(diffuse, swept) / self._step, 1, 50))

    def _build(self) -> None:
        for (kind, style), package in _NEEDED.items():
            if not self._lammps.has_style(kind, style):
                raise EngineError(f"this LAMMPS lacks the package {package} ({kind} {style})")
        run, packing = self._lammps.command, self._packing
        lengths = packing.lengths / LENGTH
        run("units micro")
        run("atom_style sphere")
        run("atom_modify map array sort 0 0")
        run("boundary p p f")
        run("newton off")
        run("comm_modify vel yes")
        run("processors * * 1")
        free = 0.5 * self._top
        run(
            f"region box block 0 {lengths[0]:.17g} 0 {lengths[1]:.17g} {-free:.17g} "
            f"{self._top + free:.17g} units box"
        )
        names = packing.phase_names
        run(f"create_box {len(names)} box")
        n = len(self._radii)
        inside = wrapped(packing.positions, packing.period, packing.lower) - packing.lower
        kinds = (packing.phases + 1).tolist()
        centres = (inside / LENGTH).ravel().tolist()
        self._lammps.create_atoms(n, list(range(1, n + 1)), kinds, centres, shrinkexceed=False)
        if self._lammps.get_natoms() != n:
            raise EngineError(f"LAMMPS took {self._lammps.get_natoms()} of {n} beads")
        rows = self._owned()
        self._local("radius")[:] = self._touching[rows]
        self._local("rmass")[:] = self._drags[rows] * self._stop
        stiff, soft = self._stiffness, self._soft
        reach = 2 * float(self._radii[self._binder].mean()) if self._binder.any() else 1.0
        run("pair_style hybrid/overlay granular harmonic/cut")
        loose = {int(kind) + 1 for kind in np.unique(packing.phases[self._binder])}
        for i in range(1, len(names) + 1):
            for j in range(i, len(names) + 1):
                spring = soft if {i, j} & loose else stiff
                run(f"pair_coeff {i} {j} granular {_spring(spring)}")
                if {i, j} <= loose:
                    run(f"pair_coeff {i} {j} harmonic/cut {soft / 2:.17g} {reach:.17g}")
        if not loose:
            run("pair_coeff 1 1 harmonic/cut 0.0 1.0")
        run(
            "group solid empty"
            if len(loose) == len(names)
            else "group solid type "
            + " ".join(str(i) for i in range(1, len(names) + 1) if i not in loose)
        )
        run("group binder type " + " ".join(map(str, loose)) if loose else "group binder empty")
        for name, value in (("at", 0.0), ("speed", 0.0), ("since", 0.0)):
            run(f"variable {name} internal {value}")
        run("variable moved equal v_at+v_speed*(step-v_since)")
        run("region floor plane 0 0 0 0 0 1 side in units box")
        run(
            f"region surface plane 0 0 {self._top:.17g} 0 0 -1 side in units box "
            "move NULL NULL v_moved"
        )
        for plane in ("floor", "surface"):
            run(f"fix {plane} solid wall/gran/region granular {_spring(stiff)} region {plane}")
        # Binder may get behind a plane for a moment, where walls of LAMMPS have no force.
        own, top = reach / 2, self._top
        run(f"variable above atom z-({top:.17g}+v_moved)+{own:.17g}")
        run(f"variable below atom {own:.17g}-z")
        run(f"variable pushed atom {soft:.17g}*(v_below*(v_below>0)-v_above*(v_above>0))")
        run("fix planes binder addforce 0.0 0.0 v_pushed")
        run("fix pull all external pf/array 1")
        run(f"fix drag all langevin 0.0 0.0 {self._stop:.17g} 1")
        run("fix motion all nve")
        run(f"neighbor {0.3 * float(np.median(self._radii)):.6g} bin")
        run("neigh_modify every 1 delay 0 check yes one 10000 page 1000000")
        run("thermo_style custom step")
        run("thermo 1000000000")
        run("thermo_modify lost ignore norm no")
        run(f"timestep {self._step:.17g}")
        run("run 0 post no")

    def _local(self, name: str) -> NDArray[Any]:
        """Return an array of the spheres that this rank owns: a view of LAMMPS's memory."""
        return self._lammps.numpy.extract_atom(name)[: self._lammps.extract_setting("nlocal")]

    def _owned(self) -> NDArray[np.int64]:
        """Return the rows of the spheres that this rank owns."""
        return self._local("id").astype(np.int64) - 1

    @property
    def height(self) -> float:
        """Height of the surface over the floor [m]."""
        return self._top * LENGTH

    @property
    def speed(self) -> float:
        """Speed at which the surface falls, over that of evaporation."""
        return self._speed

    @property
    def time(self) -> float:
        """Time since the start [s]."""
        return self._elapsed * LENGTH / self._rate

    @property
    def interval(self) -> float:
        """Time of a turn [s]."""
        return self._lasting * LENGTH / self._rate

    def separate(self, steps: int = 2000) -> None:
        """Push spheres apart that overlap, in short steps, while the liquid is at rest."""
        away = 0.002 * float(self._radii.min())
        with _engine_errors(self.comm):
            self._lammps.command("unfix motion")
            self._lammps.command(f"fix motion all nve/limit {away:.17g}")
            self._lammps.command(f"run {steps} post no")
            self._lammps.command("unfix motion")
            self._lammps.command("fix motion all nve")
            self._local("v")[:] = 0.0
            self._lammps.command("run 0 post no")

    def advance(self, turns: int, *, falling: bool = True) -> None:
        """Go on by some turns; the surface slows down as the spheres press on it.

        Raises:
            EngineError: If a sphere left the film: its number, phase and the time are named.
        """
        for _ in range(turns):
            self._turn(falling)
            for _ in range(KICKS):
                self._kick()
                with _engine_errors(self.comm):
                    self._lammps.command(f"run {self._interval} pre no post no")
            self._top -= self._speed * self._lasting
            self._elapsed += self._lasting

    @property
    def _lasting(self) -> float:
        """Time of a turn."""
        return KICKS * self._interval * self._step

    def _turn(self, falling: bool) -> None:
        """Set the speed of the surface, and the pull on every sphere."""
        positions = self.positions_in_units()
        self._check(positions)
        slowed = MARGIN * (1 - self.pressure_in_units(positions) / self.last_pressure)
        self._speed = float(np.clip(slowed, 0, 1)) if falling else 0.0
        for name, value in (
            ("at", self._top - self._start_top),
            ("speed", -self._speed * self._step),
            ("since", self._lammps.extract_global("ntimestep")),
        ):
            self._lammps.set_internal_variable(name, float(value))
        drift = -self._settling + np.where(self._binder, self._liquid(positions), 0.0)
        rows = self._owned()
        pull = self._lammps.numpy.fix_external_get_force("pull")[: len(rows)]
        pull[:] = 0.0
        pull[:, 2] = (self._drags * drift)[rows]

    def _kick(self) -> None:
        """Give each sphere the velocity from which its random motion until the next kick comes."""
        lasting = self._interval * self._step
        steps = self._random.standard_normal((len(self._radii), 3))
        kicks = np.sqrt(2 * self._diffusivities * lasting)[:, None] * steps / self._stop
        self._local("v")[:] += kicks[self._owned()]

    def _liquid(self, positions: Array) -> Array:
        """Return the vertical speed of the liquid where each sphere is, shape (n,).

        Spheres and liquid together flow nowhere through a level below the surface: where spheres
        go down, liquid goes up between them.
        """
        height = positions[:, 2]
        if self._before is not None:
            speed = (height - self._before) / self._lasting
            cells = np.clip((height / self._top * self._slices).astype(int), 0, self._slices - 1)
            volume = np.where(self._binder, 0.0, 4 / 3 * np.pi * self._radii**3)
            cell = self._area * self._top / self._slices
            share = np.minimum(np.bincount(cells, volume, self._slices) / cell, 0.74)
            flow = np.bincount(cells, volume * speed, self._slices) / cell
            self._flow += (-flow / (1 - share) - self._flow) / FLOW
        self._before = height
        middles = (np.arange(self._slices) + 0.5) * self._top / self._slices
        return np.asarray(np.interp(height, middles, self._flow))

    def pressure_in_units(self, positions: Array) -> float:
        """Return the pressure of all but binder on the surface, over 6 pi eta."""
        depth = np.maximum(positions[:, 2] + self._radii - self._top, 0.0)
        return float(self._stiffness * depth[~self._binder].sum()) / self._area

    def _check(self, positions: Array) -> None:
        """Raise EngineError for a sphere that left the film."""
        lost = np.isnan(positions[:, 2])
        lost |= (positions[:, 2] < -self._radii) | (positions[:, 2] > self._top + self._radii)
        if lost.any():
            first = int(np.argmax(lost))
            name = self._packing.phase_names[self._packing.phases[first]]
            raise EngineError(
                f"{lost.sum()} beads left the film by {self.time:.4g} s: the first is bead {first} "
                f"of phase {name}"
            )

    def positions_in_units(self) -> Array:
        """Return the centres over the corner of the floor, shape (n, 3) [um]; NaN if lost."""
        local = np.array(self._local("x"))
        values = np.full((len(self._radii), 3), np.nan)
        for rows, part in self.comm.allgather((self._owned(), local)):
            values[rows] = part
        return values

    def positions(self) -> Array:
        """Return the centres, shape (n, 3) [m]."""
        return self._packing.lower + self.positions_in_units() * LENGTH


def _spring(stiffness: float) -> str:
    """Return a linear spring without dashpot or friction, in the words of LAMMPS."""
    return f"hooke {stiffness:.17g} 0.0 tangential linear_nohistory 0.0 0.0 damping velocity"
