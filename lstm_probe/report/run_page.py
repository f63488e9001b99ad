"""The page of a run: one self-contained HTML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import clean
from lstm_probe.findings.looked_for import looked_for
from lstm_probe.report.drawing import LARGEST_SVG, against_words, alt_text, picture, run_figures
from lstm_probe.report.explorer import explorer_data
from lstm_probe.report.templating import template, write
from lstm_probe.report.told import told_of
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.findings import find_in, make_cards, run_settings
from lstm_probe.runs.run import Run

#: Of a run.json, what stands elsewhere on the page, or says nothing to a reader.
NOT_SHOWN = ("scores", "learned", "run", "files", "digest", "warnings", "checks")


def analyses_of(run: Run) -> list[dict[str, Any]]:
    """Return what the page says of each analysis beside the answer: its picture's caption, its own small table."""
    found = []
    for analysis in LIST:
        measured, table = analysis.name in run.measured, None
        if measured and analysis.page is not None:
            small = resolve(analysis.page)(getattr(run, analysis.name))
            rows = small.astype(object).where(small.notna(), float("nan")).values.tolist()
            told = [] if analysis.words is None else list(resolve(analysis.words)(getattr(run, analysis.name)))
            columns = {name: analysis.columns.get(name, "") for name in small}
            table = {"columns": columns, "rows": rows, "words": told}
        if measured or analysis.default:
            found.append({"name": analysis.name, "says": analysis.says, "measured": measured, "table": table,
                          "picture": analysis.picture or analysis.name, "caption": analysis.caption})  # fmt: skip
    return found


def flat_rows(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return a nested mapping as rows of a key, such as "probe.alpha", and a value, lists as words."""
    rows: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += flat_rows(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", " ".join(clean(str(one)) for one in value)))
        else:
            rows.append((f"{prefix}{key}", clean(value) if isinstance(value, str) else value))
    return rows


def run_context(run: Run, figures: Mapping[str, Path], links: str) -> dict[str, Any]:
    """Return what a page shows of a run; `links` leads from the page to its figure files."""
    findings = find_in(run)
    cards = make_cards(findings, run.tables(), run_settings(run))
    return {
        "name": run.name, "info": run.info, "findings": findings, "links": links, "told": told_of(run, findings),
        "cards": cards, "settings": run_settings(run), "explorer": explorer_data(run, findings, cards),
        "pictures": {name: picture(path, alt_text(name), LARGEST_SVG) for name, path in figures.items()},
        "analyses": analyses_of(run), "against": against_words(run) if "tracked" in figures else "",
        "config": flat_rows(run.config), "earlier": "p_untrained" not in run.probes,
        "clamped": bool(len(run.ablations)),
        "warnings": run.info.get("warnings", []), "checks": run.info.get("checks"),
        "looked_for": looked_for(run.measured, [fact.kind for fact in findings.signals]),
        "provenance": flat_rows({k: v for k, v in run.info.items() if k not in NOT_SHOWN}),
    }  # fmt: skip


def write_run_report(run: Run, folder: Path) -> Path:
    """Write a run's page (report.html) and figures (figures/*.svg, *.png); return the page's path."""
    figures = run_figures(run, folder / "figures")
    context = run_context(run, figures, "figures")
    return write(folder / "report.html", template("run.html").render(run=context, back=None))
