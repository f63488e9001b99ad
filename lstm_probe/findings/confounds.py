"""What a unit's card says of what is left of an effect once everything else is known."""

from collections.abc import Iterator

import pandas as pd

from lstm_probe.causal.status import NOW
from lstm_probe.core.alike import PARTS
from lstm_probe.core.numbers import known, number
from lstm_probe.findings.cards import About
from lstm_probe.findings.evidence import Evidence
from lstm_probe.findings.words import alike_words, listing

#: A partial R² below this is called little.
LITTLE = 0.25


def confound_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Say what is left of an effect once everything else is known, and which signals can't be told apart.

    Args:
        own: the unit's rows of `confounds`.
        about: the unit.
    """
    best = about.unit.best
    if best is None or best.how != NOW:
        return
    yield from _alike(about.of_variable(own), best)
    if best.settled:
        yield (f"What the present input, the step's number and all other signals tell leaves nothing open in "
               f"{best.signal}, so that what it adds can't be asked.")  # fmt: skip
    if known(best.partial):
        only = "" if round(best.partial, 2) >= LITTLE else " only"
        given = "all other signals" if not best.same else "all signals that can be told from it"
        yield (f"Of what the present input (by a straight line), the step's number and {given} leave open in "
               f"{best.signal}, it explains{only} {number(best.partial)} (partial R²).")  # fmt: skip


def _alike(own: pd.DataFrame, best: Evidence) -> Iterator[str]:
    """Say which signals the one that a unit tracks best can't be told from, and of which only a part is so.

    Of the latter it is said what the unit tells of them: of an angle that is its cosine and more, it may tell the rest.
    """
    if same := [name for name, kind in best.same.items() if {kind, best.kind}.isdisjoint(PARTS)]:
        yield (f"{listing([best.signal, *same])} are nearly the same in these sequences, so it can't be said to "
               "track one rather than the other.")  # fmt: skip
    if in_part := {name: kind for name, kind in best.same.items() if name not in same}:
        effects = dict(zip(own["signal"][own["lag"] == best.lag], own["effect"][own["lag"] == best.lag]))
        told = [f"{number(effects[name])} of {name}" for name in in_part if name in effects and known(effects[name])]
        tells = f"; the unit tells {listing(told)} (R²)" if told else ""
        yield f"In these sequences {best.signal} {alike_words(best.kind, in_part)}{tells}."
