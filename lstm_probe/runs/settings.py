"""The settings of what is measured on a network: defaults, meaning, legal values.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from dataclasses import dataclass

from lstm_probe.core.fields import declare
from lstm_probe.core.vocabulary import ESTIMATORS, MODES, NULLS, VARIABLES


@dataclass
class ProbeSettings:
    """Which unit tracks which signal."""

    sequences: int = declare(512, "sequences to record and probe", 20, 1_000_000)
    variables: list[str] = declare(  # noqa: RUF009  a list is copied for every object
        list(VARIABLES), "variables of the units to probe", choices=VARIABLES
    )
    lags: list[int] = declare(  # noqa: RUF009
        [0], "how many steps back the signals are taken", 0, 100_000
    )
    folds: int = declare(5, "parts of the held-out split, by sequence", 2, 10)
    null: str = declare(
        "shuffle", "what chance is: whole sequences exchanged, or signals rolled in time (for few, long ones)",
        choices=NULLS,
    )  # fmt: skip
    permutations: int = declare(1000, "shuffles of the null", 19, 1_000_000)
    bootstrap: int = declare(1000, "resamples of sequences for intervals", 10, 1_000_000)
    untrained: int = declare(5, "untrained networks of the baseline", 1, 1000)
    window: int = declare(3, "steps before the present one that the baseline of recent inputs sees", 0, 1000)
    estimator: str = declare(
        "ridge", "how all units together tell classes: ridge is many times faster", choices=ESTIMATORS
    )
    rotations: int = declare(200, "random bases that the units' own is compared with", 19, 1_000_000)
    alpha: float = declare(0.05, "level of the family-wise test that decides `tracks`", 0.0001, 0.5)
    margin: float = declare(0.05, "how far above every baseline the effect must lie", 0.0, 1.0)
    min_effect: float = declare(0.25, "smallest effect that counts as tracking", 0.0, 1.0)


@dataclass
class AblateSettings:
    """Which unit the network uses."""

    sequences: int = declare(256, "sequences to run with clamped units", 16, 1_000_000)
    variable: str = declare("c", "variable to clamp", choices=VARIABLES)
    mode: str = declare("mean", "clamp to the unit's mean or to zero", choices=MODES)
    bootstrap: int = declare(1000, "resamples of sequences for intervals", 10, 1_000_000)
    min_drop: float = declare(0.01, "smallest drop that counts as used, as a share of the target's score", 0.0, 1.0)
