"""The page: one self-contained HTML file per run, and one for all runs together."""

import base64
import io
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from lstm_probe.core.errors import InputError
from lstm_probe.core.order import shown_variable
from lstm_probe.core.vocabulary import ROLES, VARIABLE_MEANINGS
from lstm_probe.figures import capacity_curves, learning_curve, save, traces, units_overview
from lstm_probe.figures.codes import codes
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.figures.memory import memory
from lstm_probe.figures.style import PNG_DPI
from lstm_probe.findings import words
from lstm_probe.findings.cards import make_cards
from lstm_probe.probing.analyses.seeds import across_seeds
from lstm_probe.runs.coloured import coloured_text_table
from lstm_probe.runs.examples import trace_table
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run
from lstm_probe.sizing.sweeps import capacity_table, capacity_words, experiments, smallest_solving

_TABLES = ("probes.parquet", "ablations.parquet", "history.parquet", "examples.safetensors")
LARGEST_SVG = 400_000  # bytes; a larger picture goes into the page as pixels
_SVG_BYTES = 10_000_000  # of all runs' pictures on one page

ALT = {
    "units": "Two heatmaps, units as rows: how well its memory tells each signal, what clamping it costs",
    "traces": "Each signal in an example sequence, and the memory of the unit that tells it best",
    "text": "Text that the network was not trained on, each character coloured by a unit's memory",
    "codes": "For each signal, its best unit beside the best axes of randomly turned bases and all units together",
    "memory": "For each signal, how well its best units tell it as it was ever more steps ago",
    "learning": "Each target's score, and the loss, against training steps",
    "capacity": "Scores, tracked signals, and shares of used and idle units, against the number of units",
}


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["number"] = lambda value: "–" if value != value else f"{value:.2f}"
    environment.globals |= {"words": words, "ROLES": ROLES, "VARIABLES": VARIABLE_MEANINGS}
    return environment.get_template(name)


def run_figures(run: Run, folder: Path) -> dict[str, Path]:
    """Draw a run's own figures into a folder as SVG and PNG; return the paths without suffix by figure."""
    draw = {
        "units": lambda: units_overview(run.probes, run.ablations),
        "traces": lambda: traces(trace_table(run.examples, run.probes)),
        "learning": lambda: learning_curve(run.history, solved=_solved(run)),
        "codes": lambda: codes(run.codes),
        "memory": lambda: memory(best_remembered(run.memory)),
    }
    drawn, text = figures_of_tables(run), _coloured(run)
    if text is not None:
        draw["text"] = lambda: coloured_text(text)
        drawn.append("text")
    for name in drawn:
        save(draw[name](), folder / name)
    return {name: folder / name for name in drawn}


def figures_of_tables(run: Run) -> list[str]:
    """Return the figures that a run's tables have rows for; a coloured text needs the text besides."""
    there = {
        "learning": (run.history["metric"] == "loss").any(),  # a network made elsewhere has none
        "codes": (run.codes["code"] != "undefined").any(),
        "memory": run.memory["effect"].notna().any(),
    }
    return ["units", "traces", *(name for name, some in there.items() if some)]


def best_remembered(table: pd.DataFrame, most: int = 6) -> pd.DataFrame:
    """Return the rows of the signals that single units tell best, without distractors and nuisances if possible."""
    asked = table[table["role"].isin(("target", "latent"))]
    own = table if asked["effect"].isna().all() else asked
    best = own.groupby("signal", sort=False)["effect"].max().dropna().nlargest(most)
    return own[own["signal"].isin(best.index)]


def _coloured(run: Run) -> pd.DataFrame | None:
    """Return the table behind the coloured text, or None if there is nothing to colour."""
    try:
        table = coloured_text_table(run)
    except InputError:  # the text is not there any more
        return None
    return None if table.empty else table


def _solved(run: Run) -> float | None:
    """Return the score from which on all targets count as solved; None if they differ, or a table is gone."""
    try:
        solved = {target.solved for target in run.task.targets}
    except InputError:  # the task reads a file that is not there any more, or has changed
        return None
    return solved.pop() if len(solved) == 1 else None


def _figures_of(run: Run, folder: Path) -> dict[str, Path]:
    """Put a run's figures into a folder: its own ones if they are as new as its tables, else drawn anew."""
    names = figures_of_tables(run)
    if (run.path / "figures" / "text.svg").is_file():
        names.append("text")
    own = [run.path / "figures" / f"{name}.{suffix}" for name in names for suffix in ("svg", "png")]
    tables = max((run.path / name).stat().st_mtime for name in _TABLES)
    if not all(file.is_file() and file.stat().st_mtime >= tables for file in own):
        return run_figures(run, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in own:
        shutil.copyfile(file, folder / file.name)
    return {name: folder / name for name in names}


def _slim(svg: str) -> str:
    """Return an SVG without its prologue, its coordinates cut to hundredths of a point."""
    drawing = svg[svg.index("<svg") :]
    return re.sub(r' (?:d|x|y)="[^"]+"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), drawing)


def picture(path: Path, alt: str, largest: int = LARGEST_SVG) -> dict[str, str]:
    """Return what the page needs of a figure: a data URI, its alt text, and its width in CSS pixels.

    It goes in as SVG; where that takes more than `largest` bytes, as the PNG's pixels, packed as WebP.
    """
    svg = _slim(Path(f"{path}.svg").read_text(encoding="utf-8"))
    with Image.open(f"{path}.png") as image:
        width = round(image.width * 96 / PNG_DPI)
        if len(svg) <= largest:
            kind, content = "svg+xml", svg.encode()
        else:
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "WEBP", lossless=True)
            kind, content = "webp", packed.getvalue()
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"uri": uri, "alt": alt, "width": str(width)}


def _settings(run: Run) -> dict[str, Any]:
    """Return the thresholds that the words on the page depend on."""
    return {"probe": run.config.get("probe", {}), "ablate": run.config.get("ablate", {})}


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", " ".join(map(str, value)) if isinstance(value, list) else value))
    return rows


def _run_context(run: Run, figures: Mapping[str, Path], links: str, runs: int = 1) -> dict[str, Any]:
    """Return what a page of so many runs shows of one; `links` leads from the page to its figure files."""
    largest = min(LARGEST_SVG, _SVG_BYTES // (runs * len(figures)))
    findings = find_in(run)
    return {
        "name": run.name, "info": run.info, "findings": findings, "links": links,
        "cards": make_cards(findings, run.tables("probe"), run.config.get("probe", {})), "settings": _settings(run),
        "pictures": {name: picture(path, ALT[name], largest) for name, path in figures.items()},
        "config": _flat(run.config),
        "provenance": _flat({k: v for k, v in run.info.items() if k not in ("scores", "learned", "run")}),
    }  # fmt: skip


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def write_run_report(run: Run, folder: Path) -> Path:
    """Write a run's page (report.html) and figures (figures/*.svg, *.png); return the page's path."""
    figures = run_figures(run, folder / "figures")
    context = _run_context(run, figures, "figures")
    return _write(folder / "report.html", _template("run.html").render(run=context))


def over_seeds(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return, by experiment, the rows of `across_seeds` about what the networks' memories track."""
    found = {}
    for name, members in experiments(runs).items():
        own = [run.probes[run.probes["variable"] == shown_variable(run.probes)] for run in members]
        table = across_seeds(own)
        table = table[table["role"].isin(("target", "latent"))].sort_values(["signal", "units"], kind="stable")
        found[name] = table.to_dict("records")
    return found


def write_report(runs: Sequence[Run], outputs: Path, done: Callable[[int], None] | None = None) -> Path:
    """Write the page of all these runs and their figure files into `outputs`/report; return the page's path.

    Args:
        runs: one or more finished runs.
        outputs: the folder in which report/index.html is made.
        done: called with the number of runs that are ready.
    """
    folder = outputs / "report"
    contexts = []
    for k, run in enumerate(runs):
        place = Path("figures") / run.info["task"] / run.name
        contexts.append(_run_context(run, _figures_of(run, folder / place), place.as_posix(), len(runs)))
        if done is not None:
            done(k + 1)
    if len(runs) == 1:
        return _write(folder / "index.html", _template("run.html").render(run=contexts[0]))
    trained = [run for run in runs if "imported" not in run.config]
    table, capacity = capacity_table(trained), None
    if trained:
        curves = folder / "figures" / "capacity"
        save(capacity_curves(table), curves)
        capacity = picture(curves, ALT["capacity"])
    page = _template("runs.html").render(
        runs=contexts, capacity=capacity, capacity_table=table.to_dict("records"),
        sentences=capacity_words(smallest_solving(trained)), over_seeds=over_seeds(trained),
    )  # fmt: skip
    return _write(folder / "index.html", page)
