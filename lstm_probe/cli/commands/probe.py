"""`probe`: which units of finished runs track which signals: what was not measured so far, or with other settings.

What is heavy is imported when the runs have been found, so that a wrong folder is refused at once.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lstm_probe.cli.config import ProbeConfig
from lstm_probe.cli.many import for_each
from lstm_probe.cli.next_step import card_of, on_run, plain, show_next, unusual
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from lstm_probe.findings.cards import Card

#: How many signals of a unit are drawn where it tracks fewer.
LEAST_DRAWN = 3
#: What a card is made of and drawn from.
CARD_NEEDS = ("probes", "memory", "confounds", "tuning")


def run(config: ProbeConfig) -> None:
    """Probe a run, or each that a pattern names, and print what was found, or one unit's card, and where it is."""
    for_each(config, "probe", partial(probe_one, config), partial(probe_another, config))


def probe_one(config: ProbeConfig, run: Run) -> None:
    """Probe a run, and print what was found, or one unit's card."""
    from lstm_probe.report import print_findings

    folder, tables, settings = probe_again(config, run)
    if config.card is not None:
        show_card(run, tables, settings, config.card, folder)
        show_next(("How memories are written, held and read:", on_run("dynamics", run)))
    else:
        given = unusual(run, settings, config.seed)
        show_next(*card_of(run, print_findings(run, tables=tables, folder=folder), given))


def probe_another(config: ProbeConfig, run: Run) -> str:
    """Probe a run, and say where the tables are."""
    return str(probe_again(config, run)[0])


def probe_again(config: ProbeConfig, run: Run) -> "tuple[Path, dict[str, pd.DataFrame], dict[str, Any]]":
    """Return the folder and tables of a run that is probed with these settings, and the settings."""
    import torch

    from lstm_probe.runs.again import analyse_again

    settings = asdict(config.probe)
    if config.card is not None:
        check_unit(run, config.card)
        settings["analyses"] = [*dict.fromkeys([*settings["analyses"], *CARD_NEEDS])]
    torch.set_num_threads(config.threads)
    folder, tables = analyse_again(run, "probe", settings, config.seed)
    return folder, tables, settings


def listed(labels: list[str], most: int = 12) -> str:
    """Return the first labels, in the order in which units are numbered, and how many there are besides."""
    ordered = sorted(labels, key=lambda label: [int(part) for part in label.strip("<").split(".")])
    return ", ".join(ordered[:most]) + (f" and {len(labels) - most} more" if len(labels) > most else "")


def check_unit(run: Run, wanted: str) -> None:
    """Raise an InputError if there is no such unit."""
    from lstm_probe.runs.findings import find_in

    labels = [plain(unit.label) for unit in find_in(run).units]
    if plain(wanted) not in labels:
        raise InputError(f"card={wanted}: no such unit.{nearest(wanted, labels)} There are {listed(labels)}.")


def show_card(
    run: Run, tables: "Mapping[str, pd.DataFrame]", settings: Mapping[str, Any], wanted: str, folder: Path
) -> None:
    """Print a unit's card, and draw its tuning curves and how long it remembers."""
    from lstm_probe.figures.memory import memory
    from lstm_probe.figures.saving import save
    from lstm_probe.figures.tuning import tuning
    from lstm_probe.report.drawing import unit_order
    from lstm_probe.runs.findings import find_in, make_cards, run_settings

    findings = find_in(run, tables)
    every = {**run.tables(), **tables}
    used = {**run_settings(run), "probe": settings}
    card = next(c for c in make_cards(findings, every, used) if plain(c.label) == plain(wanted))
    out.print(Text(card.title, "bold") + Text(f" ({card.status})"))
    out.print()
    for sentence in card.sentences:
        out.print(Text(sentence))
    drawn = signals_to_draw(card, tables["probes"], findings.variable)
    place = folder / "figures" / f"unit-{plain(card.label).replace('<', 'r')}"
    out.print()
    for name, draw in (("tuning", tuning), ("memory", partial(memory, order=unit_order(run)))):
        table = tables[name]
        own = rows_of(card, table)
        own = own[own["signal"].isin(drawn)]
        drawing = draw(own)
        place.parent.mkdir(exist_ok=True)  # an error where another process has put a new run into this one's place
        svg, png = save(drawing, Path(f"{place}-{name}"))
        out.print(f"{name}: {svg} and {png.name}", markup=False, soft_wrap=True)


def rows_of(card: "Card", table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table's rows about the card's unit."""
    from lstm_probe.core.order import UNIT

    return table[(table[UNIT] == list(card.key)).all(axis=1)]


def signals_to_draw(card: "Card", probes: "pd.DataFrame", variable: str) -> list[str]:
    """Return the signals that a unit tracks, and the next best until there are a few."""
    own = rows_of(card, probes)
    own = own[own["variable"] == variable].dropna(subset="effect")
    best = own.sort_values(["tracks", "effect"], ascending=False, kind="stable").drop_duplicates("signal")
    return list(best["signal"][: max(LEAST_DRAWN, int(best["tracks"].sum()))])
