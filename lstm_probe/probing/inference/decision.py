"""What it takes to say that a unit tracks a signal, beside its p-values: how large an effect, and above what."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lstm_probe.probing.data.signals import CheckedSignal


def equal_strength(effect: float) -> float:
    """Return the 2·AUROC − 1 of classes that is as strong as an R² of numbers.

    Where a number correlates by r with a unit, of its cut into two halves 2·AUROC − 1 is (4/π) asin(r/√2).

    >>> round(equal_strength(0.25), 2)
    0.46
    """
    return 4 / math.pi * math.asin(math.sqrt(effect / 2))


@dataclass(frozen=True)
class Rule:
    """The thresholds; all are from 0 to 1.

    Attributes:
        alpha: level of the tests.
        min_effect: least effect for numbers.
        min_effect_class: least effect for classes.
        margin: how much of what a baseline leaves open the effect has to close.
        least_margin: how far above the step's number and the present input it has to lie at least.
        least_swap: how far above the past-swap's effect it has to lie at least.
    """

    alpha: float = 0.05
    min_effect: float = 0.25
    min_effect_class: float = 0.46
    margin: float = 0.2
    least_margin: float = 0.01
    least_swap: float = 0.02

    def bar(self, signals: list[CheckedSignal]) -> Float[np.ndarray, " signal"]:
        """Return each signal's least effect."""
        bars = [self.min_effect if s.is_number else self.min_effect_class for s in signals]
        return np.array(bars, dtype=float)

    def beyond(
        self, effect: Float[np.ndarray, "*rest"], baseline: Float[np.ndarray, "*rest"], least: float | None = None
    ) -> Bool[np.ndarray, "*rest"]:
        """Return which effects lie above a baseline by the margin: a share of what is left, but `least` at least."""
        result: np.ndarray = effect - baseline >= np.maximum(
            self.margin * (1 - baseline), self.least_margin if least is None else least
        )
        return result

    def remembered(
        self, effect: Float[np.ndarray, "*rest"], past_swap: Float[np.ndarray, "*rest"]
    ) -> Bool[np.ndarray, "*rest"]:
        """Return which effects lie above that of the past-swap; all of them where it was not measured."""
        result: np.ndarray = np.isnan(past_swap) | self.beyond(effect, past_swap, self.least_swap)
        return result
