"""Steps of a protocol in words, in the grammar that PyBaMM's experiments have.

    Charge at C/2 until 4.3 V            Discharge at 1C for 30 minutes or until 3 V
    Charge at 2 mA until 4.3 V           Discharge at 0.5 mA/cm2 until 3 V
    Hold at 4.3 V until C/20             Hold at 4.3 V for 1 hour or until 50 uA
    Discharge at 3 nW until 3 V          Discharge at 2 Gohm for 10 minutes or until 3 V
    Rest for 2 hours                     Rest for 2 hours at 45 degC

A current is a C-rate (``C/2``, ``2C``, ``0.5 C``) or in A, mA, uA, nA, pA, or those over cm2 or
m2; a power is in W, mW and so on, or those over an area; a resistance, of a discharge, in ohm,
kohm, Mohm or Gohm; a voltage in V or mV; a time in hours, minutes or seconds (h, min, s). A charge
that ends the step is in A.h, mA.h or C with ``after``: ``Discharge at 1C until 3 V or after 1
mA.h``. A temperature of the step comes last, in degC, °C or K. Numbers of loads are magnitudes: the
first word says which way they flow.

Source: the grammar of ``pybamm.step.string``, https://docs.pybamm.org.
"""

import re
from typing import Any

from femssb.description import checked
from femssb.errors import InputError, shown
from femssb.inputs.protocol import Charge, Discharge, Hold, Rest, Step

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12}
_OHMS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_AREAS = {"": 1.0, "/cm2": 1e4, "/cm^2": 1e4, "/m2": 1.0, "/m^2": 1.0}
_TIMES = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_NUMBER = r"(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)"
_RATE = re.compile(rf"(?:{_NUMBER}\s*)?C(?:\s*/\s*{_NUMBER})?", re.IGNORECASE)
_QUANTITY = re.compile(rf"{_NUMBER}\s*([a-zµ].*)", re.IGNORECASE)
_STEP = re.compile(
    r"(charge|discharge|hold|rest)\b\s*(?:at\s+(.+?))?\s*((?:for|until|after)\s.+)?", re.I
)
_WARM = re.compile(r"(.+?)\s+at\s+(-?\d+\.?\d*)\s*(degC|oC|°C|K)", re.IGNORECASE)
_ZERO_CELSIUS = 273.15  # [K]
_END = re.compile(r"(for|until|after)\s+(.+)", re.IGNORECASE)
_EXAMPLE = (
    '"Charge at C/2 until 4.3 V", "Discharge at 1 mA for 30 minutes or until 3 V", '
    '"Hold at 4.3 V until C/20" or "Rest for 2 hours"'
)


@checked
def read_step(sentence: str) -> Step:
    """Return the step of a protocol that a sentence describes.

    Raises:
        InputError: If the sentence is not understood, with the words that are not; if a number is
            out of its bounds.
    """
    words = " ".join(sentence.split()).rstrip(".")
    warm: dict[str, Any] = {}
    if (found := _WARM.fullmatch(words)) is not None:
        words = found[1]
        warm["temperature"] = float(found[2]) + (0.0 if found[3] in "kK" else _ZERO_CELSIUS)
    found = _STEP.fullmatch(words)
    if found is None:
        raise InputError(f"step {shown(sentence)} is not understood: write {_EXAMPLE}")
    kind, load, ends = found[1].lower(), found[2], found[3]
    given: dict[str, Any] = {}  # fields of the step that its ends give
    for end in re.split(r"\s+or\s+", ends) if ends else []:
        name, value = _end(sentence, end)
        if name in given:
            raise InputError(f"step {shown(sentence)}: {name} is given twice")
        given[name] = value
    if (load is None) != (kind == "rest"):
        raise InputError(f"step {shown(sentence)}: {kind} {'has no load' if load else 'at what?'}")
    if kind == "rest":
        _only(sentence, given, {"until_duration"})
        if not given:
            raise InputError(f"step {shown(sentence)}: rest for how long?")
        return Rest(**given, **warm)
    name, value = _load(sentence, load)
    if kind == "hold":
        if name != "voltage":
            raise InputError(f"step {shown(sentence)}: a hold is at a voltage, not at {load}")
        _only(sentence, given, {"until_c_rate", "until_current", "until_duration"})
        return Hold(voltage=value, **given, **warm)
    if name == "voltage":
        raise InputError(
            f"step {shown(sentence)}: a {kind} is at a current or power, not at {load}"
        )
    if name == "resistance" and kind == "charge":
        raise InputError(f"step {shown(sentence)}: a resistance, {load}, only discharges")
    _only(sentence, given, {"until_voltage", "until_duration", "until_capacity"})
    step = Charge if kind == "charge" else Discharge
    given[name] = value
    return step(**given, **warm)


def _load(sentence: str, text: str) -> tuple[str, float]:
    """Return field and value of a load, such as "c_rate", "power_density" or "voltage"."""
    rate = _RATE.fullmatch(text)
    if rate is not None and float(rate[2] or 1) > 0:
        return "c_rate", float(rate[1] or 1) / float(rate[2] or 1)
    number, unit = _quantity(sentence, text)
    if (scale := _scaled(unit, "V", ("", "m"))) is not None:
        return "voltage", number * scale
    for quantity, base in (("current", "A"), ("power", "W")):
        for area, per in _AREAS.items():
            scale = _scaled(unit.removesuffix(area), base) if unit.endswith(area) else None
            if scale is not None:
                return (f"{quantity}_density" if area else quantity), number * scale * per
    prefix = unit.removesuffix("ohm")
    if unit.endswith("ohm") and prefix in _OHMS:
        return "resistance", number * _OHMS[prefix]
    raise InputError(
        f"step {shown(sentence)}: {text!r} is no current, power, resistance or voltage"
    )


def _end(sentence: str, text: str) -> tuple[str, float]:
    """Return field and value of what ends a step."""
    found = _END.fullmatch(text)
    if found is None:
        raise InputError(f"step {shown(sentence)}: {text!r} begins with none of for, until, after")
    word, rest = found[1].lower(), found[2]
    if word == "until":
        name, value = _load(sentence, rest)
        if name not in ("c_rate", "current", "voltage"):
            raise InputError(f"step {shown(sentence)}: it ends by a C-rate or by A, not by {rest}")
        return f"until_{name}", value
    number, unit = _quantity(sentence, rest)
    if word == "for":
        time = _TIMES.get(unit.lower().removesuffix("s") or "s", _TIMES.get(unit))
        if time is None:
            raise InputError(f"step {shown(sentence)}: {rest!r} is no time in s, minutes or hours")
        return "until_duration", number * time
    for ending, seconds in ((".h", 3600.0), ("h", 3600.0), (".s", 1.0)):
        scale = _scaled(unit.removesuffix(ending), "A")
        if unit.endswith(ending) and scale is not None:
            return "until_capacity", number * scale * seconds
    if (scale := _scaled(unit, "C")) is not None:
        return "until_capacity", number * scale
    raise InputError(f"step {shown(sentence)}: {rest!r} is no charge in A.h or C")


def _quantity(sentence: str, text: str) -> tuple[float, str]:
    """Return number and unit of a quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise InputError(f"step {shown(sentence)}: {text!r} is no number with a unit")
    return float(found[1]), found[2].strip()


def _scaled(unit: str, base: str, prefixes: tuple[str, ...] = tuple(_PREFIXES)) -> float | None:
    """Return the factor of a unit with a prefix on its base, None if it is another."""
    prefix = unit.removesuffix(base)
    return _PREFIXES[prefix] if unit.endswith(base) and prefix in prefixes else None


def _only(sentence: str, given: dict[str, Any], allowed: set[str]) -> None:
    """Refuse an end that a step of its kind does not have."""
    for name in given:
        if name not in allowed:
            raise InputError(f"step {shown(sentence)}: such a step does not end by {name}")
