"""Are sequences that stand beside each other alike, in the signals and in the units? Then they are not independent.

Windows of one series, sequences of one subject, or a drift over a session make them so. Where that is so in both,
exchanging single sequences finds what is not there. The order in the file is all there is to see it by: sequences in
random order hide it.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.study import Study
from lstm_probe.probing.inference.exchange import LengthGroups

logger = logging.getLogger(__name__)

#: Both p-values have to be this small: then independent sequences were never called dependent in 1,000 simulated data
#: sets, and dependent ones always.
LEVEL = 0.01

#: How often sequences are put into another order, how many components of the units are looked at, and how few sequences
#: say nothing.
ORDERS, COMPONENTS, FEWEST = 999, 3, 8


@dataclass(frozen=True)
class Dependence:
    """P-values of sequences being like their neighbours, in some signal and in the units."""

    p_signal: float
    p_units: float

    @property
    def dependent(self) -> bool:
        """Whether both are: then single sequences cannot be exchanged."""
        return self.p_signal <= LEVEL and self.p_units <= LEVEL


def dependence(study: Study, seed: int) -> Dependence:
    """Return whether neighbouring sequences are alike in their mean signals, and in their mean units.

    The statistic is the highest autocorrelation, at one sequence's distance, of the columns: each signal's means over
    sequences (classes by indicators), or the first `COMPONENTS` principal components of all units' standardised means
    of h and c (of all variables where neither is there). It is compared with that of `ORDERS` other orders, in which
    sequences take places of others of about their length, as in the null; and as there, steps count that all of these
    have, as in a file sorted by length the means over all steps of neighbours would be alike by their lengths alone.

    Args:
        study: of at least two sequences.
        seed: of the orders.
    """
    alike = LengthGroups.of(study.lengths)
    real = np.arange(study.rec.mask.shape[1]) < alike.lengths[:, None]
    orders = alike.permutations(ORDERS, derive_seed(seed, "orders"))
    signals = np.concatenate([signal_means(signal, real) for signal in study.signals], axis=1)
    blocks = [block for block in study.blocks if block.variable in "hc"] or study.blocks
    means = [block.values.detach().cpu() for block in blocks]
    means = [values.float() if values.dtype.itemsize < 4 else values for values in means]
    units = standard(np.concatenate([column_means(values.numpy(), real) for values in means], axis=1))
    left, sizes, _ = np.linalg.svd(units, full_matrices=False)
    components = left[:, :COMPONENTS][:, sizes[:COMPONENTS] > 1e-6 * max(sizes.max(initial=0.0), 1e-300)]
    return Dependence(order_p_value(signals, orders), order_p_value(components, orders))


def column_means(
    values: Float[np.ndarray, "sequence time column"], counted: Bool[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "sequence column"]:
    """Return each sequence's means over the steps that count; of one without any, the mean of the others'."""
    n = counted.sum(1)
    sums = np.where(counted[..., None], values, 0.0).sum(1, dtype=np.float64)
    means: np.ndarray = sums / np.maximum(n, 1)[:, None]
    means[n == 0] = means[n > 0].mean(0) if n.any() else 0.0
    return means


def signal_means(
    signal: CheckedSignal, real: Bool[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "sequence column"]:
    """Return each sequence's means of a signal's columns, over labelled steps."""
    return column_means(signal.columns(), signal.among(real))


def standard(columns: Float[np.ndarray, "sequence column"]) -> Float[np.ndarray, "sequence some"]:
    """Return the columns that vary, with mean 0 and sum of squares 1."""
    centred = columns - columns.mean(0)
    size = np.sqrt(np.square(centred).sum(0))
    varies = size > 1e-9 * np.sqrt(np.square(columns).sum(0))
    result: np.ndarray = centred[:, varies] / size[varies]
    return result


def order_p_value(columns: Float[np.ndarray, "sequence column"], orders: Int[np.ndarray, "order sequence"]) -> float:
    """Return the share of orders, the first included, whose highest autocorrelation is at least that of the first."""
    z = standard(columns)
    if not z.shape[1]:
        return 1.0
    highest = np.array([np.einsum("sc,sc->c", z[order[:-1]], z[order[1:]]).max() for order in orders])
    return float((highest >= highest[0] - 1e-9).mean())


def warn_of_dependence(study: Study, null: str, seed: int) -> dict[str, Any] | None:
    """Log it if sequences depend on their neighbours; return the p-values, and whether they do.

    None where nobody has to be told: groups are given, or a null that moves sequences in time; or there are fewer
    than `FEWEST` sequences.
    """
    if null != "shuffle" or study.groups is not None or len(study.lengths) < FEWEST:
        return None
    found = dependence(study, seed)
    if found.dependent:
        logger.warning(
            "SEQUENCES ARE NOT INDEPENDENT: neighbours in the file are alike, in signals (p = %.3f) and in units "
            "(p = %.3f), so p-values are too small and units seem to track what they do not; name what belongs "
            "together with groups= (of a table task.group_columns), or, of one series cut into windows, use null=shift",
            found.p_signal, found.p_units,
        )  # fmt: skip
    return {"p_signal": found.p_signal, "p_units": found.p_units, "dependent": found.dependent}
