"""What a run's tables say: facts, and every unit's card."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from lstm_probe.causal.against import tracked_against_needed
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.numbers import many
from lstm_probe.core.order import UNIT
from lstm_probe.findings.answer import Answer, UnitCards, answer_sentences
from lstm_probe.findings.cards import About, Card, title
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.facts import find
from lstm_probe.findings.looked_for import looked_for
from lstm_probe.findings.words import size_words
from lstm_probe.probing import probe_units
from lstm_probe.recorder import Recording, StoredRecording
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.once import once
from lstm_probe.runs.own import checked, find_own, not_measured
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS, complete

#: Tables of what units do together, which go with the table of what each costs alone.
TOGETHER = ("sets", "sufficient")

#: A Run, a table with the columns `PROBE_COLUMNS`, a Recording or a StoredRecording.
Thing = Any


def find_in(run: Run, tables: Mapping[str, pd.DataFrame] | None = None) -> Findings:
    """Return what a run's tables say; `tables` by name stand in the place of its own. What its own say is kept."""
    if tables:
        return _find(run, tables)
    return once(run, "found", [*run.tables().values()], lambda: _find(run, {}))


def _find(run: Run, tables: Mapping[str, pd.DataFrame]) -> Findings:
    own = {**run.tables(), **tables}
    if "ablations" in tables:  # the run's own sets are of other clamps
        own = {name: table for name, table in own.items() if name not in TOGETHER or name in tables}
    info = dict(run.info)
    if "ablations" not in {*run.measured, *tables}:
        info.setdefault("not_ablated", "it was left out")
    if reason := own["ablations"].attrs.get("not_measured"):
        info.setdefault("not_ablated", reason)
    return find(
        info, own["probes"], own["populations"], own["ablations"], run.cell, codes=own["codes"], memory=own["memory"],
        confounds=own["confounds"], sets=own.get("sets"), sufficient=own.get("sufficient"),
        used=own.get("used"),
    )  # fmt: skip


def against_in(run: Run) -> pd.DataFrame:
    """Return what each unit of a run tells of each target beside what clamping it costs; it is made once."""
    probes, ablations = run.probes, run.ablations
    return once(run, "against", [probes, ablations],
                lambda: tracked_against_needed(probes, ablations, variable=run.cell.memory))  # fmt: skip


def make_cards(
    findings: Findings, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Mapping[str, Any]]
) -> list[Card]:
    """Return every unit's card, in the order of the findings.

    Args:
        findings: what the tables say.
        tables: of the analyses, by name; one that is not there has no sentence.
        settings: with which they were made, by command.
    """
    by_unit = {name: _by_unit(table) for name, table in tables.items() if set(UNIT) <= set(table)}
    cards = []
    for unit in findings.units:
        sentences: list[str] = []
        for which in ("card", "card_end"):
            for analysis in LIST:
                said = getattr(analysis, which)
                if said is not None and analysis.name in tables:
                    whole = tables[analysis.name]  # of one that is not about units
                    own = by_unit[analysis.name].get(unit.key, whole[:0]) if analysis.name in by_unit else whole
                    sentences += resolve(said)(own, About(unit, findings, settings[analysis.command]))
        cards.append(Card(unit.key, unit.label, unit.status, title(unit, findings), tuple(sentences)))
    return cards


def _by_unit(table: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """Return each unit's rows."""
    return dict(list(quick(table).groupby(UNIT)))


class _Words(dict[str, Any]):
    """Part of a table's `attrs`, which pandas copies for every part of a table: this is handed on as it is."""

    def __deepcopy__(self, memo: Any) -> "_Words":
        return self


class _Names(list[Any]):
    """Likewise."""

    def __deepcopy__(self, memo: Any) -> "_Names":
        return self


def quick(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that is quick to take apart: its words are objects, and parts of it share its `attrs`."""
    texts = [name for name, kind in table.dtypes.items() if kind == "str"]
    out = table.astype(dict.fromkeys(texts, object)) if texts else table.copy(deep=False)
    kinds: dict[type, Any] = {dict: _Words, list: _Names}
    out.attrs = {name: kinds.get(type(value), lambda own: own)(value) for name, value in table.attrs.items()}
    return out


def quick_run(run: Run) -> Run:
    """Return a run that is only read from, table by table and part by part: all of its tables are `quick`."""
    out = Run(run.path, run.info)
    vars(out).update(vars(run))
    vars(out).update({name: quick(getattr(run, name)) for name in run.measured})
    return out


def run_settings(run: Run) -> dict[str, dict[str, Any]]:
    """Return the settings of a run's analyses, by command."""
    return {command: run.settings(command) for command in COMMANDS}


def _looked_at(
    thing: Thing, signals: Signals, tables: Mapping[str, Any]
) -> tuple[Findings, dict[str, pd.DataFrame], Run | None]:
    """Return what is known of a network, and the tables that say so; and the run, where it is one."""
    if isinstance(thing, Run):
        problems = [f"{name}: a run has tables of its own" for name in tables]
        problems += ["signals: a run has probes of its own"] * (signals is not None)
        if problems:
            raise InputError(*problems)
        return find_in(thing), thing.tables(), thing
    cell = thing.config.cell if isinstance(thing, Recording | StoredRecording) else None
    if isinstance(thing, Recording | StoredRecording):
        thing = probe_units(thing, signals)
    elif signals is not None:
        raise InputError("signals: they go with a recording; a table of probes has been measured with its own")
    if not isinstance(thing, pd.DataFrame):
        raise InputError(f"{type(thing).__name__}: must be a Run, a table of `probe_units`, or a recording")
    own = checked(thing, tables)
    return find_own(own, cell), own, None


def unit_cards(thing: Thing, signals: Signals = None, **tables: Any) -> UnitCards:
    """Return every unit's card: what it tracks, for how long it remembers it, whether the network needs it.

    Args:
        thing: a run; or, of a network of one's own, the table of `probe_units` (or `curved_units`); or a recording,
            which `probe_units` then probes with its defaults.
        signals: with a recording, as `probe_units` takes them.
        tables: with a table or a recording, what else was measured of the same network, by the names of
            `lstm_probe.columns`: `ablations` (from `ablate_units`), `sets` (`needed_sets`), `sufficient`
            (`sufficient_units`), `used` (`used_units`), `shares` (`unit_shares`), `populations` (`probe_populations`),
            `codes` (`signal_codes`), `memory` (`memory_curves`), `confounds` (`partial_effects`), `patches`
            (`patch_units`), `timescales` and so on. What is not given is said to be not measured.

    Returns:
        A DataFrame: columns `CARD_COLUMNS`, units in reading order; `words` is a card's text. A notebook shows cards.

    Raises:
        InputError: a table of an unknown name, without its columns, or of another network than the probes.
    """
    findings, own, run = _looked_at(thing, signals, tables)
    if run is not None:
        return UnitCards.of(make_cards(findings, own, run_settings(run)))
    unknown = ("window",)  # with what the probes were made is not in their table
    settings = {name: {k: v for k, v in complete(name, {}).items() if k not in unknown} for name in COMMANDS}
    last = not_measured(own)
    cards = make_cards(findings, own, settings)
    return UnitCards.of([replace(card, sentences=(*card.sentences, *filter(None, [last]))) for card in cards])


def answer(thing: Thing, signals: Signals = None, **tables: Any) -> Answer:
    """Return what was found, in sentences: whether the task was learned, which unit remembers what, which are needed.

    Arguments and errors as of `unit_cards`. `.sentences` has them one by one; a notebook shows a table of units, too.
    """
    findings, own, run = _looked_at(thing, signals, tables)
    sentences = answer_sentences(findings)
    if run is not None:
        return Answer(f"{run.name}: {size_words(run.info)}", tuple(sentences), findings)
    kinds = [fact.kind for fact in findings.signals]
    lags = own["memory"]["lag"] if "memory" in own else ()
    sentences.append(looked_for(list(own), kinds, curved="tracks_curved" in own["probes"], lags=lags))
    units = many(int(own["probes"]["units"].iloc[0]), "unit")
    task = own["probes"]["task"].iloc[0]
    return Answer(f"{task}, {units}" if task else units, tuple(sentences), findings)
