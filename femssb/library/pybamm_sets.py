"""Cathodes from parameter sets of PyBaMM (https://pybamm.org), by name or as a mapping.

What is a function there is sampled and becomes a `Curve`. A set of a half-cell calls its working
electrode the positive one, and so is read as it is.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.packages import load
from femssb.errors import FemssbError, InputError, check_number, shown
from femssb.inputs.curves import Curve
from femssb.inputs.interfaces import MetalKinetics
from femssb.library.bpx import LACKS, Cathode
from femssb.units import FARADAY, GAS_CONSTANT, hour

_POINTS = 1999  # of a function of the stoichiometry
_MARGIN = 5e-4  # from empty and full: logarithms have their poles there
_WARMER = 10.0  # [K] by which two values are apart that tell an activation energy
_STEEPEST = 5e-3  # [V/K] of the open-circuit voltage: beyond, formulas are close to a pole
_ALIKE = 0.01  # relative, of values that follow Arrhenius' law
_ELECTRODE = "Positive electrode"


@checked
def read_pybamm(parameters: Any, *, temperature: float | None = None) -> Cathode:
    """Return the positive electrode of a parameter set of PyBaMM.

    Values are those at the reference temperature of the set, at its salt concentration. Activation
    energies are those by which diffusivity and exchange current change from there to 10 K above;
    `Cathode.lacks` says so where they follow another law. The exchange current is
    F k f(c) sqrt(c (c_max - c)) with a factor f where it is another function. 1C is the nominal
    capacity of the set, over the active material of the electrode.

    Args:
        parameters: Name of a set, such as "Xu2019", for which PyBaMM must be there; its
            ``pybamm.ParameterValues``; or a mapping with such names, whose functions take arrays.
        temperature: Of the cell [K]; None: the ambient temperature of the set.

    Raises:
        InputError: If there is no such set, or it lacks a value or has one that is none.
        EngineError: If PyBaMM is missing.
    """
    title = parameters if isinstance(parameters, str) else "PyBaMM"
    if isinstance(parameters, str):
        pybamm = load("pybamm", extra="pybamm")
        try:
            parameters = pybamm.ParameterValues(parameters)
        except Exception as error:  # of its many kinds
            raise InputError(f"PyBaMM has no set {shown(title)}: {error}") from error
    found = _Set(title, parameters)
    reference = found.number("Reference temperature [K]", 298.15)
    wanted = temperature
    if wanted is None:
        wanted = found.number("Ambient temperature [K]", reference)
    for name, value in (("Reference temperature", reference), ("temperature", wanted)):
        check_number(title, name, value, lower=150, upper=600, unit="K")
    full = found.number("Maximum concentration in positive electrode [mol.m-3]")
    check_number(title, "Maximum concentration in positive electrode", full, lower=1e3, upper=2e5)
    x = np.linspace(_MARGIN, 1 - _MARGIN, _POINTS)
    salt = found.number("Initial concentration in electrolyte [mol.m-3]", 1000.0)

    def diffusivity(at: float) -> Array:
        return found.of("Positive particle diffusivity [m2.s-1]", x, at)

    def rate(at: float) -> Array:
        c = x * full
        exchange = found.of(f"{_ELECTRODE} exchange-current density [A.m-2]", salt, c, full, at)
        return exchange / (FARADAY * np.sqrt(c * (full - c)))

    lacks = [*LACKS]
    energies = {
        name: _energy(name, law, reference, lacks)
        for name, law in (("diffusivity", diffusivity), ("exchange current", rate))
    }
    d, d_factor = _scaled(title, "diffusivity", x * full, diffusivity(reference))
    k, k_factor = _scaled(title, "exchange current", x * full, rate(reference))
    entropy = found.of(f"{_ELECTRODE} OCP entropic change [V.K-1]", x, full, default=0.0)
    if np.abs(entropy).max() > _STEEPEST:
        entropy = np.clip(entropy, -_STEEPEST, _STEEPEST)
        lacks.append(f"left out: the OCP entropic change beyond {_STEEPEST:g} V/K")
    anode = found.anode(salt, reference)
    if anode is not None:
        lacks.remove("anode")
    if found.number(f"{_ELECTRODE} charge transfer coefficient", 0.5) != 0.5:
        lacks.append(f"left out: {_ELECTRODE} charge transfer coefficient")
    return Cathode(
        title=title,
        temperature=wanted,
        reference_temperature=reference,
        maximum_concentration=full,
        nominal_capacity=found.capacity(full),
        initial_concentration=found.number(
            "Initial concentration in positive electrode [mol.m-3]", full
        ),
        stress_free_concentration=full,
        diffusivity=d,
        diffusivity_factor=d_factor,
        diffusivity_activation_energy=energies["diffusivity"],
        open_circuit_voltage=_curve(title, "OCP", x * full, found.of(f"{_ELECTRODE} OCP [V]", x)),
        entropic_coefficient=Curve.from_table(x * full, entropy) if entropy.any() else None,
        rate_constant=k,
        rate_factor=k_factor,
        rate_activation_energy=energies["exchange current"],
        anode=anode,
        radius=found.number("Positive particle radius [m]"),
        lacks=tuple(lacks),
    )


class _Set:
    """A parameter set, and what its functions give."""

    def __init__(self, title: str, parameters: Any) -> None:
        """Check that it is one."""
        if not (isinstance(parameters, Mapping) or hasattr(parameters, "process_symbol")):
            raise InputError(
                f"read_pybamm.parameters = {shown(parameters)} is no name, set or mapping"
            )
        self._title, self._given = title, parameters

    def _look_up(self, name: str, default: Any) -> Any:
        """Return a value or a function of the set."""
        try:
            return self._given[name]
        except Exception as error:  # PyBaMM says which names are near
            if default is not None:
                return default
            raise InputError(f"{self._title} has no {name!r}") from error

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number, or that of a function without arguments."""
        value = self._evaluated(name, self._look_up(name, default), ())
        try:
            number = float(np.ravel(value)[0])
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(f"{self._title}, {name} = {shown(value)}: {error}") from error
        check_number(self._title, name, number)
        return number

    def of(self, name: str, *arguments: Any, default: float | None = None) -> Array:
        """Return what a function gives for arguments, one of them an array (n,); (n,) values."""
        shape = next(a.shape for a in arguments if isinstance(a, np.ndarray))
        value = self._evaluated(name, self._look_up(name, default), arguments)
        try:
            return np.array(np.broadcast_to(np.asarray(value, float).ravel(), shape))
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._title}, {name}: {error}") from error

    def _evaluated(self, name: str, value: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the number or the array that a value is."""
        process: Callable[[Any], Any] | None = getattr(self._given, "process_symbol", None)
        try:
            if callable(value) and not hasattr(value, "evaluate"):
                many = [p for p in inspect.signature(value).parameters.values()
                        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
                taken = arguments[: len(many)]
                if process is not None:
                    pybamm = load("pybamm", extra="pybamm")
                    taken = tuple(
                        pybamm.Array(a) if isinstance(a, np.ndarray) else pybamm.Scalar(a)
                        for a in taken
                    )
                value = value(*taken)
            if process is not None and hasattr(value, "evaluate"):
                value = process(value).evaluate()
            return value
        except FemssbError:
            raise
        except Exception as error:
            raise InputError(f"{self._title}, {name}: {type(error).__name__}: {error}") from error

    def capacity(self, full: float) -> float:
        """Return the nominal capacity over the volume of the active material [mol/m3]."""
        names = (
            f"{_ELECTRODE} active material volume fraction",
            f"{_ELECTRODE} thickness [m]",
            "Electrode height [m]",
            "Electrode width [m]",
        )
        try:
            volume = math.prod(self.number(name) for name in names)
            charge = hour * self.number("Nominal cell capacity [A.h]")
        except InputError:
            return full
        volume *= self.number("Number of electrodes connected in parallel to make a cell", 1.0)
        return min(charge / (FARADAY * volume), full) if volume > 0 else full

    def anode(self, salt: float, reference: float) -> MetalKinetics | None:
        """Return the reaction of lithium metal, if the set is of a half-cell."""
        name = "Exchange-current density for lithium metal electrode [A.m-2]"
        if self._look_up(name, False) is False:
            return None
        metal = 1 / self.number("Lithium metal partial molar volume [m3.mol-1]", 1.3e-5)
        found = self._evaluated(name, self._look_up(name, None), (salt, metal, reference))
        return MetalKinetics(exchange_current=float(np.ravel(found)[0]), anodic_transfer=0.5)


def _energy(name: str, law: Callable[[float], Array], reference: float, lacks: list[str]) -> float:
    """Return the activation energy [J/mol] of a law of the temperature, by its median.

    Where the law is another one, what is lacking says so.
    """

    def energies(to: float) -> Array:
        with np.errstate(all="ignore"):
            ratio = np.log(law(to) / law(reference))
        return GAS_CONSTANT * ratio / (1 / reference - 1 / to)

    warm, cold = energies(reference + _WARMER), energies(reference - _WARMER)
    energy = float(np.median(warm[np.isfinite(warm)])) if np.isfinite(warm).any() else 0.0
    allowed = _ALIKE * max(abs(energy), 100.0)
    if energy < -1e-6 or not (np.abs(np.append(warm, cold) - energy) <= allowed).all():
        lacks.append(f"left out: the {name} follows the temperature by another law than Arrhenius'")
    return min(max(energy, 0.0), 3e5) if abs(energy) > 1e-6 else 0.0


def _scaled(title: str, name: str, at: Array, values: Array) -> tuple[float, Curve | None]:
    """Return the largest of values, and them over it where they are not all alike."""
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(f"{title}: the {name} is not positive from empty to full")
    largest = float(values.max())
    if values.min() > (1 - 1e-9) * largest:
        return largest, None
    return largest, Curve.from_table(at, values / largest)


def _curve(title: str, name: str, at: Array, values: Array) -> Curve:
    """Return the curve through all values that are finite."""
    finite = np.isfinite(values)
    if finite.sum() < 10:
        raise InputError(f"{title}: the {name} has no finite values")
    return Curve.from_table(at[finite], values[finite])
