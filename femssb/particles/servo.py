"""Settings of the planes that press, and of when a packing counts as being at rest."""

from femssb.description import description, field


@description
class Servo:
    """How planes follow a pressure, and when a packing counts as being at rest.

    A stage ends when the packing is at rest at two looks in a row. Unbalanced means the mean net
    force on a sphere over the mean contact force.
    """

    balance: float = field("largest unbalanced share at rest", above=0, upper=1, default=1e-3)
    pressure_error: float = field(
        "largest relative error of the pressure on a plane at rest", above=0, upper=1, default=1e-3
    )
    most_steps: int = field(
        "after which a stage fails", lower=1, upper=1_000_000_000, default=200_000
    )
    interval: int = field(
        "steps between corrections of the planes", lower=1, upper=10_000, default=10
    )
    corrections: int = field(
        "of the planes between looks at the balance", lower=1, upper=10_000, default=50
    )
    stiffer: float = field(
        "pressure over that of the last look above which masses are set again",
        lower=1,
        upper=1e3,
        default=1.5,
    )
    slack: float = field(
        "share of the wanted pressure that it must also exceed", lower=0, upper=1e3, default=0.01
    )
    growth_interval: int = field(
        "corrections between changes of size", lower=1, upper=10_000, default=5
    )
    growth: float = field(
        "largest relative change of a diameter at once", above=0, upper=0.1, default=6e-4
    )
    growth_error: float = field(
        "relative error of the pressure above which growth waits", above=0, upper=1e3, default=0.1
    )
    inertia: float = field(
        "largest inertial number: strain rate x diameter x sqrt(density / pressure)",
        above=0,
        upper=1,
        default=4e-3,
    )
    plane_mass: float = field(
        "of a plane over that of all spheres", above=0, upper=1e6, default=1.0
    )
    shock: float = field(
        "largest drop of pressure that a receding plane makes, over the pressure",
        above=0,
        upper=1,
        default=0.3,
    )
    quiet: float = field(
        "unbalanced share above which planes recede more slowly", above=0, upper=1e3, default=5e-3
    )
    slowest: float = field("smallest factor by which they do", above=0, upper=1, default=0.05)
