"""Networks that find out once what is true of them, and tables as `evaluate` gives them, from a few numbers."""

import math
from functools import cache

import pandas as pd

from lstm_probe.truth import COLUMNS, Case, cases


def known(*knobs: str, held_out: bool = False) -> list[Case]:
    """The first networks of some knobs, the same ones for all tests, which leave them as they are."""
    return [case for knob in knobs for case in _known(knob, held_out)]


@cache
def _known(knob: str, held_out: bool) -> tuple[Case, ...]:
    return tuple(cases(knobs=[knob], seeds=1, held_out=held_out))


def one(knob: str, level: str | None = None) -> Case:
    """The first of these of a knob, or of a level of it."""
    return next(case for case in known(knob) if level in (None, case.level))


def row(method="m", question="needed", knob="k", level="1", seed=0, auroc=1.0, there=2, right=None, wrong=0, **more):
    """A row of a network with 10 pairs, `there` of them a yes; `right` claims of those and `wrong` others."""
    verdicts = right is not None
    claims = right + wrong if verdicts else math.nan
    return {
        "method": method, "question": question, "knob": knob, "level": level, "seed": seed, "positives": there,
        "negatives": 10 - there, "auroc": auroc, "claims": claims,
        "precision": right / claims if verdicts and claims else math.nan,
        "recall": right / there if verdicts and there else math.nan,
        "false_claims": wrong if verdicts else math.nan, "seconds": 0.5, "cannot": "",
    } | more  # fmt: skip


def table(*rows):
    return pd.DataFrame(list(rows), columns=list(COLUMNS))
