"""What is shown of a run where somebody looks at it: what its `run.json` says; no other file is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_probe.core.numbers import many, number
from lstm_probe.core.shown import SmallTable, Told, listed, named
from lstm_probe.runs.analyses import ANALYSES


def run_told(path: Path, info: Mapping[str, Any]) -> Told:
    """Return what is said of a run.

    Args:
        path: its folder.
        info: its `run.json`; what is missing there is left out.
    """
    kind = ""
    if "cell" in info:
        from lstm_probe.cells.known import title_of

        kind = f"{title_of(info['cell'])} "
    layers = f" in each of {info['layers']} layers" if info.get("layers", 1) > 1 else ""
    size = f"{many(info['units'], f'{kind}unit')}{layers}" if "units" in info else ""
    seed = f"seed {info['seed']}" if "seed" in info else ""
    title = f"Run {named(info.get('run', path.name))}: " + ", ".join(
        part for part in (named(info.get("task", "")), size, seed) if part
    )
    scores, learned = info.get("scores", {}), info.get("learned", {})
    verdict = "solved" if info.get("solved") else "not solved" if scores else "not scored"
    told = [f"{name} {number(score, 3)}{'' if learned.get(name, True) else ' (NOT LEARNED)'}"
            for name, score in scores.items()]  # fmt: skip
    measured = info.get("measured")
    lines = [verdict + (f"; scores (1 is perfect): {listed(told)}" if told else "")]
    lines += [] if measured is None else [f"measured: {' '.join(measured) or 'nothing'}"]
    lines.append(str(path))
    known = [(f"run.{name}", ANALYSES[name].says) for name in measured or () if name in ANALYSES]
    rows = [(name, float(score), "yes" if learned.get(name) else "no") for name, score in scores.items()]
    tables = [SmallTable(("target", "score", "learned"), rows), SmallTable(("table", "what it says"), known)]
    return Told(
        title, lines, tables, below=["lp.answer(run) says what was found, lp.unit_cards(run) what of each unit."]
    )
