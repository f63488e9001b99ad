"""What is logged of an exchange: signals that it leaves as they are, and what is too short or too few for it."""

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.inference.ends import line_up
from lstm_probe.probing.inference.exchange import LEAST_GROUPS, Exchange, WholeGroups
from lstm_probe.probing.inference.series import Rolls, Shifts, autocorrelation_time

logger = logging.getLogger(__name__)

#: What is rolled in a circle has to be this many times as long as its autocorrelation time.
LEAST_TIMES = 3


def warn_of_unmoved(exchange: Exchange, checked: Sequence[CheckedSignal]) -> Bool[np.ndarray, " signal"]:
    """Log which signals the null leaves as they are, so that nothing can track them; return which it moves.

    Nothing is said of nuisances: that the step index is the same in all sequences is as it should be.
    """
    every = [line_up(exchange, [signal]) for signal in checked]
    moved = np.array([lined.exchange.moves(*lined.signals) for lined in every])
    names = ", ".join(signal.name for signal, m in zip(checked, moved) if not m and signal.role != "nuisance")
    if names and exchange.log_ways > 0:
        if isinstance(exchange, Rolls):
            why = "null=roll: %s: constant in every sequence, so that to roll it changes nothing"
        elif isinstance(exchange, Shifts):
            why = "null=shift: %s: alike in all windows, so that to shift them changes nothing"
        else:
            why = "null=shuffle: %s: alike in all sequences of a length, so that to exchange them changes nothing"
        logger.warning(why + " and nothing can be told from chance", names)
    return moved


def warn_of_short(exchange: Exchange, checked: Sequence[CheckedSignal], moved: Bool[np.ndarray, " signal"]) -> None:
    """Log which signals stay like themselves for too long to be rolled in sequences of this length."""
    if not isinstance(exchange, Rolls):
        return
    length = float(exchange.lengths.mean())
    times = [(signal.name, autocorrelation_time(signal, exchange.lengths)) for signal, m in zip(checked, moved) if m]
    short = [f"{name} ({time:.0f} steps)" for name, time in times if length < LEAST_TIMES * time]
    if short:
        logger.warning(
            "null=roll: sequences of %.0f steps are too short to be rolled for signals that stay alike as long "
            "as %s: more would be found than there is; sequences %d times as long as that, or null=shuffle, would do",
            length, ", ".join(short), LEAST_TIMES,
        )  # fmt: skip


def check_exchange(exchange: Exchange, signals: int, alpha: float) -> None:
    """Log it where there are too few ways to exchange for anything to be found: nothing can be tested then.

    Args:
        exchange: what is exchanged.
        signals: how many can be scored: a family-wise p-value is no less than this over the number of ways.
        alpha: the family-wise error rate.
    """
    few = isinstance(exchange, WholeGroups) and sum(map(len, exchange.strata)) < LEAST_GROUPS
    enough = alpha == 0 or exchange.log_ways >= np.log(max(1, signals)) - np.log(alpha) - 1e-9
    if (enough and not few) or (few and exchange.log_ways == 0):
        return  # of a single group the study says it
    ways = f"{np.exp(min(exchange.log_ways, 700)):.0f} way{'s' if exchange.log_ways > 0 else ''}"
    too_few = f"too few for any of {signals} signals to reach alpha={alpha:g}, so nothing can be tested"
    count, longest = len(exchange.lengths), exchange.lengths.max()
    if isinstance(exchange, Rolls):
        told = f"null=roll: {count} sequences of up to {longest} steps can be rolled in too few ways: {too_few}; "
        told += "longer sequences or more of them would do"
    elif isinstance(exchange, Shifts):
        told = f"null=shift: {count} windows can be shifted in only {ways}: {too_few}; more windows would do"
    elif isinstance(exchange, WholeGroups):
        told = f"groups: {sum(map(len, exchange.strata))} groups can be exchanged in only {ways}: too few to test "
        told += f"anything; it takes {LEAST_GROUPS}, better 12"
    else:
        told = f"null=shuffle: {count} sequences can be exchanged in only {ways}: {too_few}; null=roll rolls each "
        told += "sequence in time instead"
    logger.warning("%s", told)
