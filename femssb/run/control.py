"""The load that a step of the protocol imposes on a model, and its end."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from femssb.arrays import Array
from femssb.cell.coupling import Tolerances
from femssb.cell.model import Model, State
from femssb.errors import InputError, check_number
from femssb.inputs.condition import find_column
from femssb.inputs.cycle import Course
from femssb.inputs.materials import Materials
from femssb.inputs.protocol import Charge, Discharge, Drive, Hold, Step
from femssb.results.solution import End, Kind
from femssb.run.readout import columns_of
from femssb.units import hour

_SAMPLES = 1001  # of a drive, which tell its largest load
_SLOWEST = 1e-3  # C-rate that the time steps of a drive stand for at least
_SAME_TIME = 1e-9  # times in a step that differ by less are one, over 1 s or the time itself
_SMALLEST_CURRENT = 100.0  # that a hold can wait for, over the tolerance of currents


class Control:
    """The load that a protocol step imposes, and its end."""

    kind: Kind = "rest"
    held = False  # whether a voltage is imposed
    sign = 0  # 1 on charge, -1 on discharge
    c_rate = 1.0  # of the load; 1 where no current is imposed
    driven = False  # whether time steps are limited by the C-rate
    kinks: tuple[float, ...] = ()  # times in the step at which the load bends or jumps [s]
    jumps: frozenset[float] = frozenset()  # those of them at which it jumps [s]

    def __init__(
        self,
        step: Step,
        one_c: float,
        area: float = 1.0,
        room: float = 1.0,
        voltage: float = 1.0,
        temperature: float = 298.15,
    ) -> None:
        """Read a step.

        Args:
            step: Of the protocol.
            one_c: Current of 1C [A].
            area: Of the anode's face [m2].
            room: Lithium that fits the particles over the nominal capacity.
            voltage: About that of the cell: what a power is divided by, for the time it takes [V].
            temperature: Of a step that says none [K].
        """
        self.one_c = one_c
        self.temperature = temperature if step.temperature is None else step.temperature
        self.conditions = step.conditions  # that end the step
        self.fields = step.fields  # when in the step they are kept
        self.duration = step.until_duration  # that ends the step [s], or None
        self.ends_at: End = "duration"  # what has come then
        self._load: Callable[[float], Mapping[str, float]] = lambda _: {"current": 0.0}
        self._voltages: dict[int, float] = {}  # that end the step, from below (1) and above (-1)
        self._current: float | None = None  # that ends a hold [-]
        self._capacity: float | None = None  # that ends the step [C]
        longest = 1e9
        if isinstance(step, Charge | Discharge):
            self._constant(step, area, voltage)
            longest = 2 * room * hour / self.c_rate  # twice what fills or empties the particles
        elif isinstance(step, Hold):
            self._hold(step)
        elif isinstance(step, Drive):
            self._drive(step, area, voltage)
        else:
            self.description = f"Rest {step.until_duration:g} s"
        if self.conditions:
            self.description += f" until {' or '.join(one.words for one in self.conditions)}"
        # The step must end within this time [s].
        self.longest = self.duration if self.duration is not None else longest

    def load(self, elapsed: float) -> Mapping[str, float]:
        """Return what is imposed at a time in the step [s], as `femssb.cell.coupling.advance`."""
        return self._load(self._snapped(elapsed))

    def until_kink(self, elapsed: float) -> float:
        """Return the time until the load bends or jumps next [s]; infinite where it does not."""
        row = bisect_right(self.kinks, elapsed + _SAME_TIME * max(1.0, elapsed))
        return self.kinks[row] - elapsed if row < len(self.kinks) else np.inf

    def jumps_at(self, elapsed: float) -> bool:
        """Return whether the load jumps at a time in the step [s]."""
        return self._snapped(elapsed) in self.jumps

    def until_kept(self, elapsed: float) -> float:
        """Return the time until all fields are kept next, but for middle and end [s]."""
        passed = elapsed + _SAME_TIME * max(1.0, elapsed)
        if isinstance(self.fields, str):
            return np.inf
        if isinstance(self.fields, tuple):
            return min((time for time in self.fields if time > passed), default=np.inf) - elapsed
        return (passed // self.fields + 1) * self.fields - elapsed

    def reached(self, state: State, passed: float) -> dict[End, float]:
        """Return by how much a state is past ends but time and conditions, negative before them.

        Args:
            state: The state judged.
            passed: Charge passed in the step, positive on charge [C].
        """
        found: dict[End, float] = {}
        if self._voltages:
            found["voltage"] = max(s * (state.voltage - v) for s, v in self._voltages.items())
        if self._current is not None:
            size = max(abs(state.current) / self.one_c, 1e-300)
            found["current"] = float(np.log(self._current) - np.log(size))
        if self._capacity is not None:
            found["capacity"] = self.sign * passed / self._capacity - 1.0
        return found

    def beyond(self, state: State, passed: float) -> float:
        """Return the largest of what is `reached`."""
        return max(self.reached(state, passed).values(), default=-1.0)

    def _snapped(self, elapsed: float) -> float:
        """Return the time of a kink for what is there but for roundoff."""
        row = bisect_left(self.kinks, elapsed - _SAME_TIME * max(1.0, elapsed))
        near = row < len(self.kinks) and (
            self.kinks[row] - elapsed <= _SAME_TIME * max(1.0, elapsed)
        )
        return self.kinks[row] if near else elapsed

    def _constant(self, step: Charge | Discharge, area: float, voltage: float) -> None:
        """Read a charge or discharge."""
        self.kind, sign = ("charge", 1) if isinstance(step, Charge) else ("discharge", -1)
        self.sign, self.driven = sign, True
        resistance = getattr(step, "resistance", None)
        if resistance is not None:
            self.c_rate, words = voltage / resistance / self.one_c, f"{resistance:g} ohm"
            self._load = lambda _: {"current": 0.0, "conductance": 1 / resistance}
        elif step.power is not None or step.power_density is not None:
            power, words = (
                (step.power, f"{step.power:g} W")
                if step.power is not None
                else ((step.power_density or 0.0) * area, f"{step.power_density:g} W/m2")
            )
            self.c_rate = power / voltage / self.one_c
            self._load = lambda _: {"current": 0.0, "power": -sign * power}
        else:
            size, words = _current(step, self.one_c, area)
            self.c_rate = size / self.one_c
            self._load = lambda _: {"current": sign * size}
            if step.until_capacity is not None:
                time = step.until_capacity / size
                if self.duration is None or time < self.duration:
                    self.duration, self.ends_at = time, "capacity"
        if len(self._load(0.0)) > 1:  # no current of its own, by which time tells charge
            self._capacity = step.until_capacity
        if step.until_voltage is not None:
            self._voltages[sign] = step.until_voltage
        end = f"until {step.until_voltage:g} V" if step.until_voltage is not None else ""
        self.description = f"{self.kind.capitalize()} {words} {end}".strip()

    def _hold(self, step: Hold) -> None:
        self.kind, self.held = "hold", True
        self._load = lambda _: {"voltage": step.voltage}
        self._current = step.until_c_rate
        self.description = f"Hold {step.voltage:g} V"
        if step.until_c_rate is not None:
            self.description += f" until {step.until_c_rate:g}C"
        if step.until_current is not None:
            self._current = step.until_current / self.one_c
            self.description += f" until {step.until_current:g} A"

    def _drive(self, step: Drive, area: float, voltage: float) -> None:
        """Read a drive, whose values are positive on discharge."""
        self.kind, self.duration = "drive", step.duration
        self.kinks, self.jumps = step.bends, frozenset(step.jumps)
        unit = {
            "c_rate": self.one_c,
            "current": 1.0,
            "current_density": area,
            "power": 1.0,
            "power_density": area,
            "voltage": 1.0,
        }[step.quantity]
        sampled = np.linspace(0.0, self.duration, _SAMPLES)
        at = [*sampled, *(kink for kink in self.kinks if kink <= self.duration)]
        peak = max(abs(step.at(float(time))) for time in at) * unit
        self.driven = step.quantity != "voltage"
        self.held = not self.driven
        if step.quantity == "voltage":
            self._load = lambda elapsed: {"voltage": step.at(elapsed)}
        elif step.quantity.startswith("power"):
            self.c_rate = max(peak / voltage / self.one_c, _SLOWEST)
            self._load = lambda elapsed: {"current": 0.0, "power": unit * step.at(elapsed)}
        else:
            self.c_rate = max(peak / self.one_c, _SLOWEST)
            self._load = lambda elapsed: {"current": -unit * step.at(elapsed)}
        for sign, limit in ((-1, step.until_voltage_below), (1, step.until_voltage_above)):
            if limit is not None:
                self._voltages[sign] = limit
        words = step.quantity.replace("_", " ").replace("c rate", "C-rate")
        self.description = f"Drive by {words} for {self.duration:g} s"


def controls(steps: Sequence[Step], model: Model) -> list[Control]:
    """Return what each of some steps imposes on a model; collective."""
    materials = model.materials
    room = model.lithium_full / model.lithium_nominal
    area = model.bodies.area("anode")
    voltage = max(float(np.mean(voltages_at_rest(materials))), 0.1)
    about = model.one_c, area, room, voltage, materials.temperature
    return [Control(step, *about) for step in steps]


def voltages_at_rest(materials: Materials) -> Array:
    """Return the open-circuit voltage from an empty to a full host, of each in turn [V]."""
    found = []
    for phase in materials.phases:
        active = phase.active
        concentrations = np.linspace(0.0, active.maximum_concentration, 1001)
        found.append(active.open_circuit_voltage.value(concentrations))
    return np.concatenate(found)


def _current(step: Charge | Discharge, one_c: float, area: float) -> tuple[float, str]:
    """Return the magnitude of the current of a step [A], and how it was given."""
    if step.c_rate is not None:
        return step.c_rate * one_c, f"{step.c_rate:g}C"
    if step.current is not None:
        return step.current, f"{step.current:g} A"
    assert step.current_density is not None  # one of several is given
    return step.current_density * area, f"{step.current_density:g} A/m2"


def check_protocol(course: Course, model: Model, tolerances: Tolerances) -> None:
    """Refuse an end that is never crossed for certain, and a current that no step can follow.

    A condition must name a column.

    A current adds its losses to the open-circuit voltage: on charge the voltage stays above all
    that the curve has between an empty and a full host, on discharge below. How far, no bound is
    known: a high cut-off of a charge may be reached, or lithium runs out before.
    """
    of_steps = controls(course.steps, model)
    columns = columns_of(model)
    of_own = [condition for control in of_steps for condition in control.conditions]
    for condition in dict.fromkeys([*course.conditions, *of_own]):
        if condition.column is not None:
            find_column(condition.column, columns)
    voltages = {
        temperature: voltages_at_rest(model.materials.at(temperature))
        for temperature in {control.temperature for control in of_steps}
    }
    most = model.lithium_full / model.lithium_nominal
    for number, (step, control) in enumerate(zip(course.steps, of_steps, strict=True)):
        where = f"Simulation.protocol[{number}]"
        at_rest = voltages[control.temperature]
        low, high = float(at_rest.min()), float(at_rest.max())
        voltage = getattr(step, "until_voltage", None)
        sign, bound, side = (
            (1, low, "lowest") if isinstance(step, Charge) else (-1, high, "highest")
        )
        if voltage is not None and sign * (voltage - bound) <= 0:
            raise InputError(
                f"{where}.until_voltage = {voltage:g} V is passed before the step begins: "
                f"{bound:.4g} V is the {side} open-circuit voltage"
            )
        if isinstance(step, Charge | Discharge | Drive):
            check_number(where, "current over that of 1C", control.c_rate, above=0, below=1000)
        if isinstance(step, Charge | Discharge) and len(control.load(0.0)) == 1:
            if control.ends_at == "capacity":
                time = control.duration
                check_number(where, "until_capacity over the current", time, lower=1e-3, unit="s")
            longest = most * hour / control.c_rate
            known = voltage is None and not control.conditions
            if known and control.duration is not None and control.duration > longest:
                name, unit = ("until_duration", "s")
                if control.ends_at == "capacity":
                    name, unit = ("until_capacity", "C")
                raise InputError(
                    f"{where}.{name} = {getattr(step, name):g} {unit} can never be reached: "
                    f"{longest:.5g} s move all lithium that fits the particles"
                )
        if isinstance(step, Hold):
            given = {
                "until_c_rate": step.until_c_rate,
                "until_current over that of 1C": step.until_current
                and step.until_current / model.one_c,
            }
            for name, value in given.items():
                if value is not None:
                    noise = _SMALLEST_CURRENT * tolerances.current
                    check_number(where, name, value, lower=noise)
