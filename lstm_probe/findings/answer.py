"""What was found of a network, as sentences; and its units' cards as a table: both to be looked at in a notebook."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill as wrapped

import pandas as pd

from lstm_probe.core.numbers import many
from lstm_probe.core.shown import MOST_SECTIONS, Shown, SmallTable, Told
from lstm_probe.findings.cards import CARD_COLUMNS, Card
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.need_words import costs_words, need_words
from lstm_probe.findings.words import (
    UNMEASURED,
    code_words,
    origin_words,
    signal_words,
    untested_words,
    verdict_words,
)

fill = partial(wrapped, width=100)


def answer_sentences(findings: Findings) -> list[str]:
    """Return the answer: whether the task was learned, which unit remembers what, and which are needed."""
    if not findings.units:
        return [verdict_words(findings.verdict), UNMEASURED]
    asked = [fact for fact in findings.signals if fact.role in ("target", "latent")]
    told = [verdict_words(findings.verdict), *map(signal_words, asked), *need_words(findings), code_words(findings)]
    told += [origin_words(findings), untested_words(findings.untested)]
    return [sentence for sentence in told if sentence]


@dataclass(frozen=True, repr=False)
class Answer(Shown):
    """What was found of a network.

    Attributes:
        title: of which one.
        sentences: whether it learned its task, which unit remembers what, which are needed; and what was not measured.
        findings: the same as facts.
    """

    title: str
    sentences: tuple[str, ...]
    findings: Findings

    def _told(self) -> Told:
        rows = []
        for unit in self.findings.units:
            if not unit.quiet:
                held = ("", float("nan")) if unit.best is None else (unit.best.named, unit.best.effect)
                rows.append((unit.label, unit.status, *held, costs_words(unit)))
        header = ("unit", "status", f"its {self.findings.variable} remembers", "effect", "clamped, it costs")
        return Told(self.title, self.sentences, [SmallTable(header, rows)])


class UnitCards(pd.DataFrame):
    """Every unit's card, a row each: columns `CARD_COLUMNS`; what is left of it by slicing is shown alike."""

    @property
    def _constructor(self) -> Callable[..., "UnitCards"]:
        return UnitCards

    @classmethod
    def of(cls, cards: Sequence[Card]) -> "UnitCards":
        """Return the table of cards."""
        rows = [(*card.key, card.status, card.title, " ".join(card.sentences)) for card in cards]
        return cls(rows, columns=list(CARD_COLUMNS))

    def _told(self) -> Told | None:
        if not {*CARD_COLUMNS} <= {*self.columns}:
            return None
        heads = [f"{row.title} ({row.status})" for row in self.itertuples()]
        sections = list(zip(heads, self["words"]))
        left = len(self) - MOST_SECTIONS
        more = [f"and {many(left, 'unit')} more: cards[cards.unit == 7] shows one"] if left > 0 else []
        return Told(f"Cards of {many(len(self), 'unit')}, one a row", brief=heads, sections=sections, below=more)

    def __repr__(self) -> str:
        told = self._told()
        if told is None:
            return super().__repr__()
        return "\n".join(map(fill, told.sections[0])) if len(self) == 1 else told.text()

    def _repr_html_(self) -> str | None:
        told = self._told()
        return super()._repr_html_() if told is None else told.page()  # type: ignore[misc]
