"""The page of a run: one self-contained HTML file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.core.garbage import not_looked_for
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.findings.looked_for import looked_for
from lstm_probe.findings.pictures import overall_words
from lstm_probe.report.alt import alt_texts
from lstm_probe.report.explorer import explorer_data
from lstm_probe.report.pictures import against_of, pictures, read_drawn, stored_pictures
from lstm_probe.report.run_tables import flat_rows, key_table, run_tables, small_tables
from lstm_probe.report.tables import Cell, Column, Table, frame_table, page_table
from lstm_probe.report.templating import template, write
from lstm_probe.report.told import told_of
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.findings import find_in, make_cards, run_settings
from lstm_probe.runs.run import Run

#: A run's page, in its folder.
PAGE = "report.html"

#: Of a run.json, what stands elsewhere on the page, or says nothing to a reader.
NOT_SHOWN = ("scores", "learned", "run", "files", "digest", "warnings", "checks")


def analyses_of(run: Run, small: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return what the page says of each analysis beside the answer: its picture's caption, its own small table."""
    found = []
    for analysis in LIST:
        measured, rows = analysis.name in run.measured, small.get(analysis.name)
        says = analysis.says[:1].upper() + analysis.says[1:]
        table = None
        if rows is not None and len(rows):
            table = frame_table(f"{says}.", rows, analysis.columns, name=analysis.name)
        told = [] if rows is None or analysis.words is None else resolve(analysis.words)(getattr(run, analysis.name))
        if measured or analysis.default:
            found.append({"name": analysis.name, "says": analysis.says, "measured": measured, "words": list(told),
                          "reason": getattr(run, analysis.name).attrs.get("not_measured"),
                          "table": table, "folded": rows is not None,
                          "picture": analysis.picture or analysis.name,
                          "caption": _of_cell(analysis.caption, run)})  # fmt: skip
    return found


def _of_cell(caption: str, run: Run) -> str:
    """Return a caption with the gate that keeps by its name; without what it says of one where there is none."""
    if run.cell.keeps is not None:
        return caption.replace("forget gate", run.cell.word(run.cell.keeps))
    return " ".join(said for said in re.split(r"(?<=\.) ", caption) if "forget gate" not in said)


def checks_table(run: Run) -> Table | None:
    """Return by how much recorded values differed from what the network returned; None where that is not known."""
    if not run.info.get("checks"):
        return None
    rows = [row | {"scale": Cell(f"{row['scale']:.3g}", row["scale"])}
            | {name: Cell(f"{row[name]:.1e}", row[name]) for name in ("difference", "tolerance")}
            for row in run.info["checks"]]  # fmt: skip
    columns = [Column("layer"), *[Column("direction")] * (len({row["direction"] for row in rows}) > 1 or
               rows[0]["direction"] != DIRECTIONS[0]), Column("compared"), Column("sequences"), Column("steps"),
               Column("scale", "largest value"), Column("difference", "largest difference"),
               Column("tolerance", "allowed")]  # fmt: skip
    return page_table("The largest difference from what the network itself returned, and the largest that may come "
                      "from rounding.", columns, rows, name="checks")  # fmt: skip


def run_context(run: Run, figures: Mapping[str, Path] | None = None, links: str = "") -> dict[str, Any]:
    """Return what a page shows of a run.

    Args:
        run: a finished run.
        figures: drawn for the page, by name, without suffix; None for those that were drawn when it was made.
        links: leads from the page to the folder of its figures.
    """
    findings = find_in(run)
    drawn = {name: read_drawn(path) for name, path in figures.items()} if figures is not None else stored_pictures(run)
    shown = pictures(drawn or {})
    small, against = small_tables(run), against_of(run)
    for name, alt in alt_texts(run, findings, shown, against, small).items():
        shown[name]["alt"] = alt
        if figures is not None:
            shown[name]["files"] = ["svg", "png"] if drawn and drawn[name][1] else ["svg"]
    cards = make_cards(findings, run.tables(), run_settings(run))
    provenance = flat_rows({key: value for key, value in run.info.items() if key not in NOT_SHOWN})
    return {
        "name": run.name, "cell": run.cell, "info": run.info, "findings": findings, "links": links,
        "told": told_of(run, findings),
        "cards": cards, "settings": run_settings(run), "explorer": explorer_data(run, findings, cards),
        "pictures": shown, "analyses": analyses_of(run, small), "place": str(run.path),
        "against": overall_words(against) if "tracked" in shown and against is not None else "",
        "tables": run_tables(run, findings), "earlier": "p_untrained" not in run.probes,
        "clamped": bool(len(run.ablations)), "refitted": bool(run.ablations["refit_drop"].notna().any()),
        "warnings": run.info.get("warnings", []), "checks": checks_table(run),
        "looked_for": looked_for(run.measured, [fact.kind for fact in findings.signals], lags=run.memory["lag"]),
        "keys": {
            "Settings": key_table("All settings that affect the results; the run's name ends in their digest.",
                                  flat_rows(run.config), "settings"),
            "Versions and provenance": key_table("What made this run, on what, and the seconds that each part took.",
                                                 provenance, "provenance"),
        },
    }  # fmt: skip


@not_looked_for()
def write_run_report(run: Run, folder: Path) -> Path:
    """Write a run's page (report.html) and figures (figures/*.svg); return the page's path."""
    from lstm_probe.report.drawing import run_figures

    figures = run_figures(run, folder / "figures")
    context = run_context(run, figures, "figures")
    return write(folder / PAGE, template("run.html").render(run=context, back=None))
