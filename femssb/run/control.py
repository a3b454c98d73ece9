"""The load that a step of the protocol imposes on a model, and its end."""

import numpy as np

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Model, State
from femssb.errors import InputError, check_number
from femssb.inputs.protocol import Charge, Discharge, Hold, Rest, Step
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

    def __init__(self, step: Step, one_c: float, room: float = 1.0) -> None:
        self.one_c = one_c  # current of 1C [A]
        self.duration = step.until_duration  # that ends the step [s], or None
        longest = 1e9
        if isinstance(step, Charge | Discharge):
            self.kind, self.sign = ("charge", 1) if isinstance(step, Charge) else ("discharge", -1)
            self.c_rate = step.c_rate
            self.current = self.sign * step.c_rate * one_c
            self.cut_off = step.until_voltage
            longest = 2 * room * hour / step.c_rate  # twice what fills or empties the particles
            end = f"until {step.until_voltage:g} V" if step.until_voltage is not None else ""
            self.description = f"{self.kind.capitalize()} {step.c_rate:g}C {end}".strip()
        elif isinstance(step, Hold):
            self.kind, self.ends_on = "hold", "current"
            self.voltage, self.cut_off = step.voltage, step.until_c_rate
            self.description = f"Hold {step.voltage:g} V"
            if step.until_c_rate is not None:
                self.description += f" until {step.until_c_rate:g}C"
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


def check_protocol(protocol: tuple[Step, ...], model: Model, tolerances: Tolerances) -> None:
    """Check that there are steps, and refuse an end that is never crossed for certain.

    A current adds its losses to the open-circuit voltage: on charge the voltage stays above all
    that the curve has between an empty and a full host, on discharge below. How far, no bound is
    known: a high cut-off of a charge may be reached, or lithium runs out before.
    """
    if not protocol:
        raise InputError("Simulation.protocol is empty: give at least one step")
    active = model.materials.active
    concentrations = np.linspace(0.0, active.maximum_concentration, 1001)
    voltages = active.open_circuit_voltage.value(concentrations)
    low, high = float(voltages.min()), float(voltages.max())
    most = active.maximum_concentration / active.capacity
    for number, step in enumerate(protocol):
        where = f"Simulation.protocol[{number}]"
        if not isinstance(step, Charge | Discharge | Hold | Rest):
            raise InputError(f"{where} = {step!r} is not a protocol step")
        voltage = getattr(step, "until_voltage", None)
        sign, bound, side = (
            (1, low, "lowest") if isinstance(step, Charge) else (-1, high, "highest")
        )
        if voltage is not None and sign * (voltage - bound) <= 0:
            raise InputError(
                f"{where}.until_voltage = {voltage:g} V is passed before the step begins: "
                f"{bound:.4g} V is the {side} open-circuit voltage"
            )
        if isinstance(step, Charge | Discharge) and step.until_duration and voltage is None:
            longest = most * hour / step.c_rate
            if step.until_duration > longest:
                raise InputError(
                    f"{where}.until_duration = {step.until_duration:g} s can never be reached: "
                    f"{longest:.5g} s move all lithium that fits the particles"
                )
        if isinstance(step, Hold) and step.until_c_rate is not None:
            noise = _SMALLEST_CURRENT * tolerances.current
            check_number(where, "until_c_rate", step.until_c_rate, lower=noise)
