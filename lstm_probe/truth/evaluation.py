"""A method's answers beside what is known: how it ranks, what it claims, what it makes up."""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from lstm_probe.core.errors import InputError
from lstm_probe.truth.cases import Case, cases
from lstm_probe.truth.checked import PAIR, coverage, interchanged
from lstm_probe.truth.methods import METHODS, NO_LAYERS, NO_PROJECTION, Function

#: Of a unit and a signal, of a unit and a target, and again: see `Case` for what is true.
QUESTIONS = ("holds", "needed", "carries", "reads")
OF_TARGETS = ("needed", "carries")
#: Scores are told apart to this share of the largest: dust below it decides nothing.
DUST = 1e-3

COLUMNS: Mapping[str, str] = {
    "method": "what it is called",
    "question": "holds: which unit holds which signal; needed: which target needs which unit, by clamping; carries: "
    "which unit's state a target goes on from, by swapping; reads: which signal targets read from which unit",
    "knob": "what makes the network hard to read",
    "level": "how hard",
    "seed": "of the network",
    "positives": "pairs of a unit and a signal, or target, of the knob's own for which the answer is yes",
    "negatives": "those for which it is no",
    "auroc": "share of pairs of a yes and a no that the scores put in the right order; NaN without both",
    "claims": "how many verdicts are yes, where the answer is known; NaN for a method without verdicts",
    "precision": "share of those that are right; NaN without any",
    "recall": "share of the right ones that are claimed",
    "false_claims": "how many verdicts are yes, and wrong",
    "interchange": "of pairs of sequences in which a target should become that of another one when its whole state is "
    "taken from there, the share in which it does when only units with the verdict yes are; of needed and carries",
    "intervals": "how many intervals there are for a cost that is not 0",
    "covered": "share of these that hold the cost over many sequences; NaN without any",
    "seconds": "that the method took for all its questions together",
    "cannot": 'why the method has no answer for this network, such as "not for layers"; empty where it has one',
}


def evaluate(method: str | Function, *, cases: Iterable[Case] | None = None, name: str | None = None) -> pd.DataFrame:
    """Return how a method answers on networks with known answers, a row for each network and question.

    Args:
        method: one of `METHODS` by name, or a function of a model and a batch that returns a table: see `Function`.
        cases: the networks; None for three of each level of each knob.
        name: what it is called in the table; None for its own name.

    Raises:
        InputError: no such method, or its table is none of that kind.
    """
    function, called = _named(method, name)
    rows = [row for case in (_every() if cases is None else cases) for row in _judged(case, function, called)]
    return with_no_claims(pd.DataFrame(rows, columns=list(COLUMNS)))


def with_no_claims(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with 0 claims, instead of unknown ones, where who makes claims elsewhere makes none.

    A method whose verdicts on a network are all neither yes nor no has found nothing there.
    """
    makes = table.groupby(["method", "question"], dropna=False)["claims"].transform("count") > 0
    none = makes & table["claims"].isna() & (table[["positives", "negatives"]].sum(axis=1) > 0)
    there = none & (table["positives"] > 0)
    return table.assign(
        claims=table["claims"].mask(none, 0), false_claims=table["false_claims"].mask(none, 0),
        recall=table["recall"].mask(there, 0.0),
    )  # fmt: skip


def words(method: str | Function, *, cases: Iterable[Case] | None = None, name: str | None = None) -> pd.DataFrame:
    """Return what a method says in words of its own beside what is true: a row for each word and label of a network.

    Args:
        method, cases, name: see `evaluate`. A method without words has no rows.

    Returns:
        Columns method, question, knob, level, seed, word (the method's), label (what is true, see `Case`; of all pairs
        of a unit and a name, not only of the knob's own), and pairs (how many there are).

    Raises:
        InputError: as `evaluate`.
    """
    function, called = _named(method, name)
    about = ["method", "question", "knob", "level", "seed"]
    made = [pd.DataFrame(columns=[*about, "word", "label", "pairs"])]
    for case in _every() if cases is None else cases:
        given, cannot = _asked(function, case, called)
        for question in given["question"].unique().tolist() if "word" in given and not cannot else ():
            joined = getattr(case, question).merge(given[given["question"] == question], on=list(PAIR))
            counted = joined.groupby(["word", "label"]).size().rename("pairs").reset_index()
            own = dict(zip(about, (called, question, case.knob, case.level, case.seed)))
            made.append(counted.assign(**own)[list(made[0])])
    return pd.concat([own for own in made if len(own)] or made, ignore_index=True)


def _every() -> Iterable[Case]:
    return cases()


def _named(method: str | Function, name: str | None) -> tuple[Function, str]:
    if isinstance(method, str) and method not in METHODS:
        raise InputError(f"method={method}: no such method. There are {', '.join(METHODS)}.")
    function = METHODS[method] if isinstance(method, str) else method
    return function, name or (method if isinstance(method, str) else str(getattr(method, "__name__", "method")))


def _judged(case: Case, method: Function, called: str) -> Iterable[dict[str, Any]]:
    started = time.process_time()
    given, cannot = _asked(method, case, called)
    seconds = time.process_time() - started
    about = {"method": called, "knob": case.knob, "level": case.level, "seed": case.seed, "cannot": cannot}
    for question in given["question"].unique().tolist() if cannot else ():
        yield about | {"question": question, "positives": 0, "negatives": 0, "intervals": 0}
    for question in () if cannot else QUESTIONS:
        own = given[given["question"] == question]
        if own.empty:
            continue
        joined = known_of(case, question).merge(own, on=list(PAIR), how="left", validate="one_to_one")
        follow = interchanged(case, joined) if question in OF_TARGETS else math.nan
        found = judge(joined) | {"interchange": follow} | coverage(case, joined)
        yield about | {"question": question} | found | {"seconds": seconds}


def _asked(method: Function, case: Case, called: str) -> tuple[pd.DataFrame, str]:
    """Return a method's answers, and why it has none."""
    lstm = case.net.model.lstm
    try:
        given = method(case.net.model, case.batch)
    except NotImplementedError as error:
        if lstm.num_layers == 1 and not lstm.proj_size:
            raise
        nothing = pd.DataFrame({"question": [getattr(method, "question", None) or None]})
        return nothing, str(error) or "not for this network"
    except Exception as error:
        error.add_note(f"raised by the method {called} on the network {case.knob}, {case.level}, seed {case.seed}")
        raise
    _check(given, case, called)
    return placed(given, case)


def placed(given: pd.DataFrame, case: Case) -> tuple[pd.DataFrame, str]:
    """Return a method's answers with the layer of each unit, and why they are no answers, if they are none.

    Without a column `layer` a unit is one of the only layer; where there are several, nobody knows whose it is. With a
    projection h has fewer entries than there are units: who does not name every unit may have meant those.
    """
    lstm = case.net.model.lstm
    if lstm.proj_size and len(given):
        named = given.groupby(["question", "name"])["unit"].size()
        if (named < lstm.num_layers * lstm.hidden_size).any():
            return given, NO_PROJECTION
    if "layer" in given:
        return given, ""
    return given.assign(layer=0), NO_LAYERS if lstm.num_layers > 1 else ""


def known_of(case: Case, question: str) -> pd.DataFrame:
    """Return what is known of a case where a question has an answer: of what the knob is about, or else of all."""
    known: pd.DataFrame = getattr(case, question)
    known = known[known["answer"].notna()]
    own = known["name"] == case.own
    return known[own] if own.any() else known


def _verdicts(given: pd.DataFrame) -> pd.Series:
    """Return where a verdict is one, or missing."""
    if "verdict" not in given:
        return pd.Series(True, index=given.index)
    return given["verdict"].map(lambda own: pd.isna(own) or own in (True, False)).astype(bool)


def _check(given: Any, case: Case, called: str) -> None:
    """Raise an InputError unless a method's table is one."""
    needed = ("question", "unit", "name", "score")
    if not isinstance(given, pd.DataFrame) or not set(needed) <= set(given.columns):
        raise InputError(f"{called}: must return a table with the columns {', '.join(needed)}")
    scores = pd.to_numeric(given["score"], errors="coerce")
    for column, legal, wrong in (
        ("score", "a number or missing", given["score"].notna() & ~np.isfinite(scores.astype(float).fillna(np.inf))),
        ("verdict", "True, False or missing", ~_verdicts(given)),
    ):
        if wrong.any():
            first = given.loc[wrong, column].astype(object).tolist()[0]
            raise InputError(f"{called}: {column}={first!r:.40}: must be {legal}")
    signals, targets = set(case.batch.signals), {spec.name for spec in case.batch.target_specs}
    names = {"holds": signals, "reads": signals, "needed": targets, "carries": targets}
    for question in given["question"].unique().tolist():
        own = given[given["question"] == question]
        if question not in names:
            raise InputError(f"{called}: question={question}: must be one of {', '.join(QUESTIONS)}")
        if unknown := set(own["name"]) - names[question]:
            raise InputError(f"{called}: {question}: there is no {min(map(str, unknown))}; "
                             f"there are {', '.join(sorted(names[question]))}")  # fmt: skip
        if own.duplicated([one for one in PAIR if one in own]).any():
            raise InputError(f"{called}: {question}: several rows for one unit and name")
        lstm = case.net.model.lstm
        for column, many in (("layer", lstm.num_layers), ("unit", lstm.hidden_size)):
            if column in own and len(wrong := own.loc[~own[column].isin(range(many)), column]):
                raise InputError(
                    f"{called}: {question}: there is no {column} {wrong.iloc[0]}; they are 0 to {many - 1}"
                )


def judge(answers: pd.DataFrame) -> dict[str, float]:
    """Return how scores and verdicts stand to what is known.

    Args:
        answers: columns answer (true or false), score, and verdict where there is one. A pair without a score has the
            lowest.
    """
    truth = answers["answer"].astype(bool).to_numpy()
    scores = rounded(answers["score"].to_numpy(dtype=float))
    both = truth.any() and not truth.all()
    found: dict[str, float] = {
        "positives": int(truth.sum()), "negatives": int((~truth).sum()),
        "auroc": float(roc_auc_score(truth, scores)) if both else math.nan,
        "claims": math.nan, "precision": math.nan, "recall": math.nan, "false_claims": math.nan,
    }  # fmt: skip
    if "verdict" in answers and answers["verdict"].notna().any():
        said = answers["verdict"].map(lambda verdict: verdict is not None and verdict == True).to_numpy(bool)  # noqa: E712
        found |= {
            "claims": int(said.sum()), "false_claims": int((said & ~truth).sum()),
            "precision": float((said & truth).sum() / said.sum()) if said.any() else math.nan,
            "recall": float((said & truth).sum() / truth.sum()) if truth.any() else math.nan,
        }  # fmt: skip
    return found


def rounded(scores: np.ndarray) -> np.ndarray:
    """Return scores to within a thousandth of the largest; one that is missing counts as the lowest.

    >>> rounded(np.array([2.0, 1e-9, np.nan])).tolist()
    [2.0, 0.0, 0.0]
    """
    filled = np.where(np.isnan(scores), np.nanmin(scores) if not np.isnan(scores).all() else 0.0, scores)
    unit = DUST * np.abs(filled).max(initial=0.0)
    return np.round(filled / unit) * unit if unit > 0 else filled
