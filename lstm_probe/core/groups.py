"""Which sequences are not independent of each other."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from lstm_probe.core.containers import plain
from lstm_probe.core.errors import InputError

log = logging.getLogger(__name__)

#: Fewer groups than this test nothing.
LEAST_GROUPS = 6
#: Fewer than this test no label that is constant in each.
LEAST_LABELLED = 8
#: In how many percent of cases a 95 % interval of the bootstrap holds the mean of normal groups, by how many there are.
_HOLD = {2: 50, 3: 75, 4: 80, 5: 84}


def group_codes(groups: Any, sequences: int) -> Int[np.ndarray, " sequence"] | None:
    """Return each sequence's group by number, in order of appearance; None where there are no groups.

    Args:
        groups: one entry for each sequence, numbers or text; equal entries are one group.
        sequences: how many there are.

    Raises:
        InputError: not one entry for each sequence, or a missing one.
    """
    if groups is None:
        return None
    groups = plain("groups", groups)
    # Of words and None NumPy makes objects, of words and NaN or numbers in a list it makes words.
    words = isinstance(groups, list | tuple) and any(isinstance(entry, str) for entry in groups)
    try:
        array = np.asarray(groups, dtype=object if words else None)
        missing = int(pd.isna(array).sum())
        codes = pd.factorize(array)[0].astype(np.int64) if array.shape == (sequences,) and not missing else None
    except (TypeError, ValueError):
        raise InputError("groups: must be numbers or text, one for each sequence") from None
    if array.shape != (sequences,):
        raise InputError(f"groups: shape {array.shape}; there are {sequences} sequences, so it must be ({sequences},)")
    if codes is None:
        raise InputError(f"groups: {missing} of {sequences} sequences have none")
    return codes


def drawn_as_one(groups: Int[np.ndarray, " sequence"] | None) -> Int[np.ndarray, " sequence"] | None:
    """Return the groups if there are several; None where sequences have to be taken one by one."""
    return groups if groups is not None and len(np.unique(groups)) > 1 else None


def resampled_by(groups: Any, sequences: int, *, widened: bool = False) -> Int[np.ndarray, " sequence"] | None:
    """Return the groups that intervals resample, as `drawn_as_one`; that there is one alone, or are few, is said.

    Where intervals are `widened` as few groups ask for (see `quantiles.widening`), nothing is said of few. Other
    arguments and errors as of `group_codes`.
    """
    codes = group_codes(groups, sequences)
    several = drawn_as_one(codes)
    if several is not None and not widened and (held := _HOLD.get(count := len(np.unique(several)))):
        log.warning("groups: %d alone; 95 %% intervals that draw so few are too narrow: about %d %% of them hold what "
                    "is so of all groups", count, held)  # fmt: skip
    if codes is not None and several is None and sequences > 1:
        log.warning("groups: all sequences are of one group; intervals take them one by one all the same, and so say "
                    "nothing of other groups")  # fmt: skip
    return several
