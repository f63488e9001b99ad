"""The page of published results: a table, and for each result a picture and all values."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import known, short
from lstm_probe.figures.reproduction import REPRODUCTION_COLUMNS, reproduction
from lstm_probe.figures.saving import save
from lstm_probe.report.pictures import picture
from lstm_probe.report.templating import template, write
from lstm_probe.reproduce.result import Measure
from lstm_probe.reproduce.store import Reproduction

TONES = {"reproduced": "good", "partly": "part", "not reproduced": "bad"}


def ours(measure: Measure, values: Sequence[float]) -> str:
    """Return the mean over seeds and its 95 % interval, where there is one.

    >>> m = Measure("m", "")
    >>> ours(m, [0.5, 0.75, 1.0, 0.0, 1.0]), ours(m, [1.0] * 5), ours(m, [0.25, 0.75])
    ('0.6500 [0.1306, 1]', '1', '0.5000')
    """
    mean, (low, high) = math.fsum(values) / len(values), measure.interval(values)
    interval = f" [{short(low)}, {short(high)}]" if known(low) and low != high else ""
    return short(mean) + interval


def each(values: Sequence[float]) -> str:
    """Return every seed's value; one alone where all are the same."""
    shown = [short(value) for value in values]
    return shown[0] if len(set(shown)) == 1 else " ".join(shown)


def seed_table(outcome: Reproduction) -> pd.DataFrame:
    """Return what the figure shows, with the columns `REPRODUCTION_COLUMNS`."""
    rows = [
        (m.name, m.meaning, seed, values[m.name], m.line, m.least, m.most, m.low, m.high)
        for m in outcome.result.measures
        for seed, values in sorted(outcome.values.items())
    ]
    table = pd.DataFrame(rows, columns=list(REPRODUCTION_COLUMNS))
    limits = ["line", "least", "most"]
    return table.astype(dict.fromkeys(limits, float))


def _context(outcome: Reproduction, folder: Path) -> dict[str, Any]:
    result = outcome.result
    file = folder / "figures" / result.key
    save(reproduction(seed_table(outcome)), file)
    rows = [
        {"meaning": m.meaning, "published": m.published, "goal": m.goal if m.is_goal else "",
         "ours": ours(m, outcome.of(m.name)), "each": each(outcome.of(m.name))}
        for m in result.measures
    ]  # fmt: skip
    main = next(row for row, m in zip(rows, result.measures) if m is result.goals[0])
    n = len(outcome.values)
    return {
        "key": result.key, "title": result.title, "source": result.source, "published": result.published,
        "computed": result.computed, "trained": result.trained, "rule": result.rule,
        "tried": "" if outcome.verdict == "reproduced" else result.tried, "rows": rows, "main": main,
        "verdict": outcome.verdict, "tone": TONES[outcome.verdict], "seeds": f"{n} seed{'s' if n > 1 else ''}",
        "seconds": f"{sum(outcome.seconds.values()):.1f}",
        "picture": picture(file, f"{result.title}: every seed's values, the published number and the goal"),
    }  # fmt: skip


def write_reproduction(outcomes: Sequence[Reproduction], outputs: Path) -> Path:
    """Write the page of these results and their figures into `outputs`/reproduce; return the page's path."""
    folder = outputs / "reproduce"
    verdicts = [outcome.verdict for outcome in outcomes]
    others = [f"{verdicts.count(v)} {v}" for v in ("partly", "not reproduced") if v in verdicts]
    page = template("reproduce.html").render(
        results=[_context(outcome, folder) for outcome in outcomes], count=verdicts.count("reproduced"),
        others=", ".join(others),
    )  # fmt: skip
    return write(folder / "index.html", page)
