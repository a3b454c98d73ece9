"""The load that a step of the protocol imposes on a model, and its end."""

from collections.abc import Sequence

import numpy as np

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Model, State
from femssb.errors import InputError, check_number
from femssb.inputs.protocol import Charge, Discharge, Hold, Step
from femssb.results.solution import End, Kind
from femssb.units import hour

_SMALLEST_CURRENT = 100.0  # that a hold can wait for, over the tolerance of currents


class Control:
    """The load that a protocol step imposes, and its end."""

    kind: Kind = "rest"
    current: float | None = None  # charging current imposed [A]
    voltage: float | None = None  # cell voltage held [V]
    cut_off: float | None = None  # voltage or C-rate that ends the step
    ends_on: End = "voltage"  # kind of the cut-off: "voltage" or "current"
    sign = 0  # 1 on charge, -1 on discharge
    c_rate = 1.0  # of the imposed current; 1 where none is imposed

    def __init__(self, step: Step, one_c: float, area: float = 1.0, room: float = 1.0) -> None:
        """Read a step.

        Args:
            step: Of the protocol.
            one_c: Current of 1C [A].
            area: Of the anode's face [m2].
            room: Lithium that fits the particles over the nominal capacity.
        """
        self.one_c = one_c
        self.fields = step.fields  # where in the step they are kept
        self.duration = step.until_duration  # that ends the step [s], or None
        self.ends_at: End = "duration"  # what has come then
        longest = 1e9
        if isinstance(step, Charge | Discharge):
            self.kind, self.sign = ("charge", 1) if isinstance(step, Charge) else ("discharge", -1)
            size, words = _current(step, one_c, area)
            self.c_rate = size / one_c
            self.current = self.sign * size
            self.cut_off = step.until_voltage
            if step.until_capacity is not None:
                time = step.until_capacity / size
                if self.duration is None or time < self.duration:
                    self.duration, self.ends_at = time, "capacity"
            longest = 2 * room * hour / self.c_rate  # twice what fills or empties the particles
            end = f"until {step.until_voltage:g} V" if step.until_voltage is not None else ""
            self.description = f"{self.kind.capitalize()} {words} {end}".strip()
        elif isinstance(step, Hold):
            self.kind, self.ends_on = "hold", "current"
            self.voltage, self.cut_off = step.voltage, step.until_c_rate
            self.description = f"Hold {step.voltage:g} V"
            if step.until_c_rate is not None:
                self.description += f" until {step.until_c_rate:g}C"
            if step.until_current is not None:
                self.cut_off = step.until_current / one_c
                self.description += f" until {step.until_current:g} A"
        else:
            self.current = 0.0
            self.description = f"Rest {step.until_duration:g} s"
        # The step must end within this time [s].
        self.longest = self.duration if self.duration is not None else longest

    def beyond(self, state: State) -> float:
        """Return by how much a state is past the cut-off, negative before it [V] or [-]."""
        if self.cut_off is None:
            return -1.0
        if self.sign:
            return self.sign * (state.voltage - self.cut_off)
        return float(np.log(self.cut_off) - np.log(max(abs(state.current) / self.one_c, 1e-300)))


def controls(protocol: Sequence[Step], model: Model) -> list[Control]:
    """Return what each step of a protocol imposes on a model; collective."""
    active = model.materials.active
    room = active.maximum_concentration / active.capacity
    area = model.bodies.area("anode")
    return [Control(step, model.one_c, area, room) for step in protocol]


def _current(step: Charge | Discharge, one_c: float, area: float) -> tuple[float, str]:
    """Return the magnitude of the current of a step [A], and how it was given."""
    if step.c_rate is not None:
        return step.c_rate * one_c, f"{step.c_rate:g}C"
    if step.current is not None:
        return step.current, f"{step.current:g} A"
    assert step.current_density is not None  # one of three is given
    return step.current_density * area, f"{step.current_density:g} A/m2"


def check_protocol(protocol: tuple[Step, ...], model: Model, tolerances: Tolerances) -> None:
    """Refuse an end that is never crossed for certain, and a current that no step can follow.

    A current adds its losses to the open-circuit voltage: on charge the voltage stays above all
    that the curve has between an empty and a full host, on discharge below. How far, no bound is
    known: a high cut-off of a charge may be reached, or lithium runs out before.
    """
    active = model.materials.active
    concentrations = np.linspace(0.0, active.maximum_concentration, 1001)
    voltages = active.open_circuit_voltage.value(concentrations)
    low, high = float(voltages.min()), float(voltages.max())
    most = active.maximum_concentration / active.capacity
    for number, (step, control) in enumerate(zip(protocol, controls(protocol, model), strict=True)):
        where = f"Simulation.protocol[{number}]"
        voltage = getattr(step, "until_voltage", None)
        sign, bound, side = (
            (1, low, "lowest") if isinstance(step, Charge) else (-1, high, "highest")
        )
        if voltage is not None and sign * (voltage - bound) <= 0:
            raise InputError(
                f"{where}.until_voltage = {voltage:g} V is passed before the step begins: "
                f"{bound:.4g} V is the {side} open-circuit voltage"
            )
        if isinstance(step, Charge | Discharge):
            check_number(where, "current over that of 1C", control.c_rate, above=0, below=1000)
            if control.ends_at == "capacity":
                time = control.duration
                check_number(where, "until_capacity over the current", time, lower=1e-3, unit="s")
            longest = most * hour / control.c_rate
            if voltage is None and control.duration is not None and control.duration > longest:
                name, unit = ("until_duration", "s")
                if control.ends_at == "capacity":
                    name, unit = ("until_capacity", "C")
                raise InputError(
                    f"{where}.{name} = {getattr(step, name):g} {unit} can never be reached: "
                    f"{longest:.5g} s move all lithium that fits the particles"
                )
        if isinstance(step, Hold) and control.cut_off is not None:
            noise = _SMALLEST_CURRENT * tolerances.current
            name = "until_c_rate" if step.until_current is None else "until_current over that of 1C"
            check_number(where, name, control.cut_off, lower=noise)
