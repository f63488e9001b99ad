"""What each picture on a run's page shows in this run, for those who do not see it."""

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.pictures import (
    learning_shown,
    rows_shown,
    text_shown,
    traces_shown,
    tracked_shown,
    units_shown,
)
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import Analysis, resolve
from lstm_probe.runs.coloured import best_units, traces_of
from lstm_probe.runs.run import Run


def alt_texts(
    run: Run, findings: Findings, pictures: Iterable[str], against: pd.DataFrame | None,
    small: Mapping[str, pd.DataFrame],
) -> dict[str, str]:  # fmt: skip
    """Return what each of these pictures shows, by name.

    Args:
        run: a finished run.
        findings: what its tables say.
        pictures: by name, as `figures_of` has them.
        against: from `against_of`.
        small: the small tables of its analyses, by name.
    """
    told: dict[str, Callable[[], str]] = {
        "units": lambda: units_shown(findings),
        "tracked": lambda: "" if against is None else tracked_shown(against, findings),
        "text": lambda: text_shown(best_units(run.probes, 5, memory=run.cell.memory)),
        "traces": lambda: traces_shown(traces_of(run), [fact.signal for fact in findings.signals if not fact.testable]),
        "learning": lambda: learning_shown(run.history),
    }
    of = {analysis.picture or analysis.name: analysis for analysis in LIST if analysis.figure}
    return {name: told[name]() if name in told else _shown(run, of[name], small) for name in pictures}


def _shown(run: Run, analysis: Analysis, small: Mapping[str, pd.DataFrame]) -> str:
    """Return what an analysis's picture shows."""
    if analysis.shown is None:
        return f"{analysis.says[:1].upper()}{analysis.says[1:]}. {rows_shown(small[analysis.name])}"
    table = getattr(run, analysis.name)
    rows: str = resolve(analysis.shown)(table if analysis.drawn is None else resolve(analysis.drawn)(table))
    return rows
