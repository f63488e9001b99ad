"""Methods tried side by side on the same networks, with every answer kept beside what is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import nn

from lstm_probe.core.signal import Batch
from lstm_probe.truth.cases import KNOBS, Case
from lstm_probe.truth.checked import PAIR
from lstm_probe.truth.evaluation import COLUMNS, QUESTIONS, evaluate, known_of, placed, with_no_claims
from lstm_probe.truth.methods import Function

#: Networks of each level when everything is tried: from five on, means have intervals.
ALL_SEEDS = 5

ANSWERS: Mapping[str, str] = {
    **{name: COLUMNS[name] for name in ("method", "question", "knob", "level", "seed")},
    "layer": "of the unit, counted from 0",
    "unit": "counted from 0",
    "planted": "what it was planted as; nothing for a unit that hears everything and does nothing",
    "name": "of the signal, or the target, that is asked about",
    "label": "what is known",
    "answer": "whether that is a yes",
    "score": "of the method",
    "verdict": "of the method: true, false, or nothing where it has none",
}


@dataclass(frozen=True)
class Tried:
    """What methods said on networks with known answers.

    Attributes:
        table: of `evaluate`, of all methods.
        answers: a row for each pair of a unit and a name that counts, with the columns `ANSWERS`.
    """

    table: pd.DataFrame
    answers: pd.DataFrame


class _Kept:
    """A method that keeps what it said last."""

    def __init__(self, method: Function) -> None:
        self.method, self.question = method, getattr(method, "question", "")
        self.given: Any = None

    def __call__(self, model: nn.Module, batch: Batch) -> Any:
        self.given = self.method(model, batch)
        return self.given


def try_methods(methods: Mapping[str, Function], cases: Iterable[Case]) -> Tried:
    """Return what each method says on each network.

    Args:
        methods: by what they are called.
        cases: the networks; each is asked for once.
    """
    tables, answers = [], []
    for case in cases:
        for name, method in methods.items():
            kept = _Kept(method)
            tables.append(evaluate(kept, cases=[case], name=name))
            if not tables[-1]["cannot"].any():
                given = placed(kept.given, case)[0]
                answers += [_answers(case, name, question, given) for question in QUESTIONS
                            if (given["question"] == question).any()]  # fmt: skip
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    none = pd.DataFrame(columns=list(ANSWERS))
    return Tried(with_no_claims(table), pd.concat(answers, ignore_index=True) if answers else none)


def _answers(case: Case, method: str, question: str, given: pd.DataFrame) -> pd.DataFrame:
    own = given[given["question"] == question].drop(columns="question")
    joined = known_of(case, question).merge(own, on=list(PAIR), how="left")
    held = getattr(case.net, "held", None)
    planted = {} if held is None else dict(zip(zip(held["layer"], held["unit"]), held["name"]))
    places = zip(joined["layer"], joined["unit"])
    verdicts: Any = joined["verdict"] if "verdict" in joined else [None] * len(joined)
    made: Any = joined.assign(
        method=method, question=question, knob=case.knob, level=case.level, seed=case.seed,
        planted=[planted.get(place, "") for place in places], answer=joined["answer"].astype(bool),
        verdict=pd.array([None if pd.isna(one) else bool(one) for one in verdicts], dtype="boolean"),
    )  # fmt: skip
    return pd.DataFrame(made[list(ANSWERS)])


def ends(cases: Iterable[Case]) -> Iterable[Case]:
    """Go through the cases of the first and the last level of each knob."""
    return (case for case in cases if case.level in (KNOBS[case.knob][0].name, KNOBS[case.knob][-1].name))
