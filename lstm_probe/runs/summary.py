"""What lists and pages say of a run in a line: made once, when it is measured, so that no table is read for it.

It stands in `run.json` as `summary`. Of runs that have none, it is made of their tables.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_probe.causal.status import ALONE, NO_COST_ALONE, NOT_NEEDED, TOGETHER, UNKNOWN, unit_statuses
from lstm_probe.findings.need_words import short_words
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run


def made_of(run: Run) -> dict[str, Any]:
    """Return the summary of a run's tables.

    Returns:
        `tracked`: the signals that some variable of a unit tracks, or None where it was not probed; `counts`: by name,
        how many signals or units of how many (see `counts_of`); `gist`: the same in words.

    Raises:
        InputError: a table is damaged.
    """
    bare = Run(run.path, {key: value for key, value in run.info.items() if key != "summary"})
    vars(bare).update(vars(run) | {"info": bare.info})
    return {"tracked": bare.tracked, "counts": counts_of(bare), "gist": gist_of(bare)}


def gist_of(run: Run) -> str:
    """Return in one line which unit remembers what, and how many are needed."""
    return str(run.info["summary"]["gist"]) if "summary" in run.info else short_words(find_in(run))


def counts_of(run: Run) -> Mapping[str, Sequence[int]]:
    """Return how many signals are tracked in the memory, how many units are needed and so on, each of how many.

    Names are those of `sizing.sweeps.QUANTITIES`; what was not measured is not among them.
    """
    told: Mapping[str, Sequence[int]] = run.info["summary"]["counts"] if "summary" in run.info else _counted(run)
    return told


def _counted(run: Run) -> dict[str, list[int]]:
    if "probes" not in run.measured:
        return {}
    statuses = unit_statuses(run.probes, run.ablations, run.cell.memory)
    own = run.probes[run.probes["variable"] == statuses.attrs["variable"]]
    tracked = own.loc[own["tracks"].astype(bool), "signal"].nunique()
    needed, units = statuses["needed"], len(statuses)
    counted = {"needed_alone_units": ALONE, "needed_together_units": TOGETHER, "not_needed_units": NOT_NEEDED}
    if needed.isin((NO_COST_ALONE, UNKNOWN)).any():  # of the others it is not known which are needed together
        counted = {} if (needed == UNKNOWN).any() else {"needed_alone_units": ALONE}
    return {
        "tracked_signals": [int(tracked), int(own["signal"].nunique())],
        **{name: [int((needed == one).sum()), units] for name, one in counted.items()},
        "all_units": [units, units],
    }
