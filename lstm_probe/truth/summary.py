"""The benchmark's table in short: by method and knob, what tells methods apart, and what each gets wrong, in words."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from lstm_probe.core.numbers import known, many, number
from lstm_probe.findings.words import listing, quoted
from lstm_probe.probing.analyses.seeds import mean_interval
from lstm_probe.truth.evaluation import COLUMNS
from lstm_probe.truth.methods import METHODS

#: A method fails where its mean AUROC is below the first, and does well where it is above the second.
FAILS, WELL = 0.8, 0.95
#: The knob that makes nothing hard: who fails there fails for no other knob's sake.
PLAIN = "none"
#: Wrong claims for each network from which on they are told.
MADE_UP = 0.5

#: What each of `QUESTIONS` asks.
WORDS: Mapping[str, str] = {
    "holds": "which unit holds which signal", "needed": "which target needs which unit",
    "carries": "which unit's state a target goes on from", "reads": "which signal is read from which unit",
}  # fmt: skip

SUMMARY: Mapping[str, str] = {
    "method": "what it is called",
    "question": COLUMNS["question"],
    "knob": "what makes the networks hard to read",
    "networks": "how many there are, over levels and seeds, for which it has an answer",
    "auroc": "share of pairs of a yes and a no that the scores put in the right order: mean over networks",
    "auroc_low": "95 % interval of that mean over networks by Student's t; unknown for fewer than five",
    "auroc_high": "its upper end",
    "precision": "share of the verdicts that are yes, in all networks together, that are right",
    "recall": "share of what is there, in all networks together, that is claimed",
    "false_claims": "verdicts that are yes, and wrong: mean over networks",
    "interchange": "of pairs of sequences in which a target should become that of another one, the share in which it "
    "does when only units with the verdict yes come from there: mean over networks",
    "covered": "share of its intervals for a cost, in all networks together, that hold the cost over many sequences",
    "seconds": "that the method took for each network, for all its questions together",
}

TOLD: Mapping[str, str] = {
    "knob": SUMMARY["knob"],
    "question": SUMMARY["question"],
    "methods": "how many are ranked",
    "well": f"how many of them stay above {WELL:g} at each level, by their means",
    "lowest": "the lowest mean AUROC of a method at a level",
    "lowest_method": "whose that is; nothing where all do well",
    "says": f"told apart: at one level some method stays above {WELL:g} and another falls below {FAILS:g}, but not "
    f"where nothing is hard ({PLAIN}); easy: none of those falls below {FAILS:g}; no method: none stays above {WELL:g} "
    "where another fails; not ranked: there is only one answer; one method: no other answers this",
}


def is_ours(method: str) -> bool:
    """Return whether a method is one of the toolkit's own."""
    return method in METHODS and METHODS[method].ours


def summarize(table: pd.DataFrame, *, by: Sequence[str] = ("method", "question", "knob")) -> pd.DataFrame:
    """Return a row for each method, question and knob, with the columns `SUMMARY`.

    Args:
        table: of `evaluate`; several of them below each other.
        by: what each row is of; with "level" too, one for each level.
    """
    rows = [dict(zip(by, key)) | _short(own) for key, own in table.groupby(list(by), sort=False)]
    return pd.DataFrame(rows, columns=[*by, *(name for name in SUMMARY if name not in ("method", "question", "knob"))])


def _short(own: pd.DataFrame) -> dict[str, float]:
    scores = own["auroc"].dropna().to_numpy(float)
    low, high = mean_interval(scores, 1.0)
    told = own[own["claims"].notna()]
    right = (told["claims"] - told["false_claims"]).sum()
    claims, there = told["claims"].sum(), told["positives"].sum()
    return {
        "networks": int((own["cannot"] == "").sum()), "auroc": float(scores.mean()) if len(scores) else math.nan,
        "auroc_low": float(low), "auroc_high": float(high),
        "precision": right / claims if claims else math.nan,
        "recall": right / there if there else math.nan,
        "false_claims": float(told["false_claims"].mean()),
        "interchange": float(own["interchange"].mean()), "covered": _covered(own),
        "seconds": float(own["seconds"].mean()),
    }  # fmt: skip


def _covered(own: pd.DataFrame) -> float:
    some = own[own["covered"].notna()]
    return float((some["covered"] * some["intervals"]).sum() / some["intervals"].sum()) if len(some) else math.nan


def told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each knob and question that says whether it tells methods apart, with the columns `TOLD`."""
    levels = summarize(table, by=("question", "knob", "level", "method"))
    plain = levels[(levels["knob"] == PLAIN) & (levels["auroc"] < FAILS)].groupby("question")["method"].agg(set)
    rows = []
    for (knob, question), own in levels.groupby(["knob", "question"], sort=False):
        failing = set() if knob == PLAIN else plain.get(question, set())
        wide = own.pivot(index="method", columns="level", values="auroc").dropna(axis=0, how="all")
        lowest = wide.min(axis=1)
        least = float(lowest.min()) if len(wide) else math.nan
        whose = str(lowest.idxmin()) if least <= WELL else ""
        rows.append((knob, question, len(wide), int((lowest > WELL).sum()), least, whose, _says(wide, failing)))
    return pd.DataFrame(rows, columns=list(TOLD))


def _says(wide: pd.DataFrame, failing: Collection[str]) -> str:
    if wide.empty:
        return "not ranked"
    if len(wide) == 1:
        return "one method"
    wide = wide.drop(index=list(failing), errors="ignore")
    if not (wide < FAILS).any(axis=None):
        return "easy"
    apart = (wide < FAILS).any(axis=0) & (wide > WELL).any(axis=0)
    return "told apart" if apart.any() else "no method"


def faults(table: pd.DataFrame, method: str) -> list[str]:
    """Return what a method gets wrong, in sentences; one that says so where that is nothing.

    Args:
        table: of `evaluate`.
        method: by its name in the table.
    """
    own_table = table[table["method"] == method]
    levels = summarize(own_table, by=("question", "knob", "level"))
    several = levels["question"].nunique() > 1
    lines = []
    for question, own in levels.groupby("question", sort=False):
        for column, wrong, words, digits in (
            ("auroc", own["auroc"] < FAILS, f"AUROC below {FAILS:g}", 2),
            ("recall", own["recall"] < FAILS, f"less than {100 * FAILS:g} % found", 2),
            ("false_claims", own["false_claims"] >= MADE_UP, "wrong claims for each network", 1),
        ):
            if wrong.any():
                asked = f", asked {WORDS[str(question)]}" * several
                lines.append(f"{words[:1].upper()}{words[1:]}{asked}: {_places(own[wrong], column, digits)}.")
    lines += [f"{str(reason).capitalize()}." for reason in dict.fromkeys(own_table["cannot"]) if reason]
    if levels["recall"].isna().all():
        lines.append("It has no verdicts: it ranks, and says nowhere that nothing is there.")
    if len(lines) > levels["recall"].isna().all():
        return lines
    return [_little(levels), *lines]


def _little(levels: pd.DataFrame) -> str:
    """Return what a method that is nowhere told to be wrong gets wrong all the same, at the level where most."""
    least, found, made_up = levels["auroc"].min(), levels["recall"].min(), levels["false_claims"].max()
    told = [f"AUROC at least {number(least)}"] if known(least) else []
    told += [f"{math.floor(100 * found)} % or more found"] if found < 1 else []
    told += [f"at most {number(made_up)} wrong claims for each network"] if made_up > 0 else []
    perfect = not (least < 1 or found < 1 or made_up > 0)
    return f"{'Nothing' if perfect else 'Little'} that these networks show{': ' * bool(told)}" + (
        f"{listing(told)} at each level." if told else "."
    )


def _places(own: pd.DataFrame, column: str, digits: int) -> str:
    """Return levels with their values, by knob.

    >>> rows = [("copies", "or", 0.5), ("copies", "all", 0.25), ("xor", "xor", 0.75)]
    >>> _places(pd.DataFrame(rows, columns=["knob", "level", "auroc"]), "auroc", 2)
    'copies (or: 0.50, all: 0.25), xor: 0.75'
    """
    parts = []
    for knob, levels in own.groupby("knob", sort=False):
        told = [(level, number(value, digits)) for level, value in zip(levels["level"], levels[column])]
        inner = ", ".join(f"{level}: {value}" for level, value in told)
        parts.append(inner if [level for level, _ in told] == [knob] else f"{knob} ({inner})")
    return ", ".join(parts)


def gist(table: pd.DataFrame) -> list[str]:
    """Return what the table says, in a few sentences with numbers."""
    networks = len(table.drop_duplicates(["knob", "level", "seed"]))
    methods = list(dict.fromkeys(table["method"]))
    lines = [f"{many(len(methods), 'method')} on {many(networks, 'network')} whose answers are known."]
    if len(methods) > 1:
        told = told_apart(table)
        for question in dict.fromkeys(table["question"]):
            lines.append(f"Asked {WORDS[question]}: {_knobs_in_words(told[told['question'] == question])}.")
            lines.append(_best(table[table["question"] == question]))
    return [line for line in [*lines, *refusals(table), _plain_missing(table), _nothing_there(table)] if line]


def _plain_missing(table: pd.DataFrame) -> str:
    """Return that some of the methods that knobs tell apart may fail anywhere, where the plain network was left out."""
    knobs = table["knob"].unique()
    if PLAIN in knobs or not (told_apart(table)["says"] == "told apart").any():
        return ""
    return f"Whether methods fail where nothing is hard, too, was not tried: knobs=[{PLAIN},...] tells."


def refusals(table: pd.DataFrame) -> list[str]:
    """Return which methods have no answer for some networks, in a sentence for each reason."""
    without = table[table["cannot"] != ""].drop_duplicates(["cannot", "method"])
    return [f"{str(reason).capitalize()}: {quoted(own['method'].tolist())}."
            for reason, own in without.groupby("cannot", sort=False)]  # fmt: skip


def _knobs_in_words(own: pd.DataFrame) -> str:
    words = {"told apart": "methods are told apart by", "easy": f"easy (none falls below {FAILS:g}):",
             "no method": f"hard for all (none stays above {WELL:g} where another fails):",
             "not ranked": "nothing to rank with", "one method": "only one method answers, for"}  # fmt: skip
    parts = [f"{word} {listing(list(own.loc[own['says'] == says, 'knob']))}"
             for says, word in words.items() if (own["says"] == says).any()]  # fmt: skip
    return "; ".join(parts)


def _best(own: pd.DataFrame) -> str:
    """Return which methods are best on average over networks, and whether these fail somewhere."""
    means = own.groupby("method", sort=False)["auroc"].mean().dropna()
    if means.empty:
        return ""
    levels = own.groupby(["method", "knob", "level"], sort=False)["auroc"].mean()
    best = [str(name) for name in means.index[means >= means.max() - 0.005]]
    failing = [name for name in best if (levels[name] < FAILS).any()]
    fails = f"; below {FAILS:g} at some level: {quoted(failing)}" if failing else ""
    return f"Highest on average: {quoted(best)} ({number(float(means.max()))}){fails}."


def _nothing_there(table: pd.DataFrame) -> str:
    """Return in how many networks each method with verdicts claims nothing where there is nothing."""
    none = table[(table["positives"] == 0) & table["claims"].notna()]
    told = [f"{quoted([str(method)])} {int((own['false_claims'] == 0).sum())} of {len(own)}"
            for method, own in none.groupby("method", sort=False)]  # fmt: skip
    return f"Networks without a wrong claim, of those where no unit is a right answer: {listing(told)}." if told else ""


def lowest_of(table: pd.DataFrame, method: str) -> pd.Series | None:
    """Return the row of the network on which a method does worst: lowest AUROC, then most wrong claims.

    None where it gets nothing wrong.
    """
    own = table[table["method"] == method]
    rank = pd.DataFrame({"auroc": own["auroc"].fillna(1.0), "clean": -own["false_claims"].fillna(0.0),
                         "found": own["recall"].fillna(1.0)})  # fmt: skip
    perfect = np.isclose(rank["auroc"], 1) & (rank["clean"] == 0) & np.isclose(rank["found"], 1)
    if perfect.all():
        return None
    worst: pd.Series = own.loc[rank[~perfect].sort_values(["auroc", "clean", "found"], kind="stable").index[0]]
    return worst
