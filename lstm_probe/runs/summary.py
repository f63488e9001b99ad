"""What lists and pages say of a run in a line: made once, when it is measured, so that no table is read for it.

It stands in `run.json` as `summary`. Of runs that have none, it is made of their tables.
"""

from typing import Any

from lstm_probe.causal.status import ALONE, NO_COST_ALONE, NOT_NEEDED, TOGETHER, UNKNOWN, unit_statuses
from lstm_probe.findings.need_words import short_words
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run


def summary_of(run: Run) -> dict[str, Any]:
    """Return a run's summary: that of its run.json, else one made of its tables.

    Returns:
        `tracked`: the signals that some variable of a unit tracks, or None where it was not probed; `counts`: by name,
        how many signals or units of how many (see `counted_of`); `gist`: the same in words.

    Raises:
        InputError: a table is damaged.
    """
    told: dict[str, Any] | None = run.info.get("summary")
    return made_of(run) if told is None else told


def made_of(run: Run) -> dict[str, Any]:
    """Return the summary of a run's tables; errors as of `summary_of`."""
    return {"tracked": _tracked(run), "counts": counted_of(run), "gist": short_words(find_in(run))}


def tracked_signals(run: Run) -> list[str] | None:
    """Return the signals that a run's units track, None where it was not probed; of its tables no more is read."""
    if "summary" in run.info:
        tracked: list[str] | None = run.info["summary"]["tracked"]
        return tracked
    return _tracked(run)


def _tracked(run: Run) -> list[str] | None:
    from lstm_probe.runs.columns_of import TableReader

    if "probes" not in run.measured:
        return None
    own = run.probes if "probes" in vars(run) else TableReader("probes", ["signal", "tracks"]).read(run).to_pandas()
    return [str(name) for name in own.loc[own["tracks"].astype(bool), "signal"].unique()]


def counted_of(run: Run) -> dict[str, list[int]]:
    """Return how many signals are tracked in the memory, how many units are needed and so on, each of how many.

    Names are those of `sizing.sweeps.QUANTITIES`; what was not measured is not among them.
    """
    if "probes" not in run.measured:
        return {}
    statuses = unit_statuses(run.probes, run.ablations)
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
