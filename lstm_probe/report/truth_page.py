"""The page of the benchmark: what methods find, miss and make up on networks with known answers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from lstm_probe.core.files import write_whole
from lstm_probe.core.numbers import known, many, number
from lstm_probe.figures.hardness import HARDNESS_COLUMNS, hardness
from lstm_probe.figures.saving import save
from lstm_probe.findings.pictures import hardness_shown
from lstm_probe.report.pictures import picture
from lstm_probe.report.tables import Cell, Column, Table, frame_table, page_table
from lstm_probe.report.templating import template, write
from lstm_probe.truth.methods import METHODS
from lstm_probe.truth.named import typed
from lstm_probe.truth.summary import (
    FAILS,
    SUMMARY,
    TOLD,
    WELL,
    WORDS,
    faults,
    gist,
    is_ours,
    lowest_of,
    summarize,
    told_apart,
)
from lstm_probe.truth.trying import Tried

TONES = {"told apart": "good", "easy": "part", "no method": "bad"}


def write_truth(tried: Tried, outputs: Path, *, whole: bool, held_out: bool) -> Path:
    """Write the table, all answers, the figures and the page into `outputs`/truth; return the page's path.

    Args:
        tried: what methods said.
        outputs: the folder in which truth/ is made.
        whole: whether every level was tried.
        held_out: whether the networks are those that nothing may be tuned on.
    """
    folder = outputs / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("truth", tried.table), ("answers", tried.answers)):
        stream = io.BytesIO()
        table.to_parquet(stream, index=False)
        write_whole(folder / f"{name}.parquet", stream.getvalue())
    methods = list(dict.fromkeys(tried.table["method"]))
    page = template("truth.html").render(
        gist=gist(tried.table), whole=whole, held_out=held_out, matrices=list(_matrices(tried.table)),
        told=_told_table(tried.table) if len(methods) > 1 else None,
        summary=frame_table("Each method, question and knob", summarize(tried.table), SUMMARY, name="truth-summary"),
        knobs=[_knob(tried.table, knob, folder) for knob in dict.fromkeys(tried.table["knob"])],
        methods=[_method(tried, name) for name in methods],
    )  # fmt: skip
    return write(folder / "index.html", page)


def _matrices(table: pd.DataFrame) -> Iterator[Table]:
    """Go through tables of methods by knobs, one for each question; then what verdicts are worth, and the time."""
    knobs = list(dict.fromkeys(table["knob"]))
    for question, own in table.groupby("question", sort=False):
        scores = summarize(own, by=("method", "knob")).set_index(["method", "knob"])["auroc"]
        cannot = own[own["cannot"] != ""].groupby(["method", "knob"])["cannot"].first()
        rows = [{"method": _named(str(name)), "all": _score(mean),
                 **{f"knob {knob}": _score(float(scores.get((name, knob), float("nan"))),
                                           str(cannot.get((name, knob), ""))) for knob in knobs}}
                for name, mean in own.groupby("method", sort=False)["auroc"].mean().items()]  # fmt: skip
        columns = [Column("method"), Column("all", meaning=SUMMARY["auroc"]),
                   *(Column(f"knob {knob}", knob) for knob in knobs)]  # fmt: skip
        caption = f"AUROC, asked {WORDS[str(question)]}: means over networks, by knob"
        yield page_table(caption, columns, rows, name=f"truth-{question}")
    verdicts = [{**{str(key): value for key, value in row.items()}, "method": _named(str(row["method"]))}
                for row in summarize(table, by=("method", "question")).to_dict("records")]  # fmt: skip
    columns = [Column("method"), Column("question", "asked", SUMMARY["question"]),
               *(Column(name, meaning=SUMMARY[name], digits=2) for name in ("precision", "recall")),
               Column("false_claims", "wrong claims", SUMMARY["false_claims"], 1),
               *(Column(name, meaning=SUMMARY[name], digits=2) for name in ("interchange", "covered")),
               Column("seconds", meaning=SUMMARY["seconds"], digits=2)]  # fmt: skip
    yield page_table("What verdicts are worth, and what they take", columns, verdicts, name="truth-verdicts")


def _named(method: str) -> Cell:
    return Cell(f"{method} (ours)" if is_ours(method) else method, method)


def _score(value: float, cannot: str = "") -> Cell:
    text = number(value) if known(value) else cannot or number(value)
    return Cell(Markup('<span class="tag bad">{}</span>').format(text) if known(value) and value < FAILS else text,
                value if known(value) else None)  # fmt: skip


def _told_table(table: pd.DataFrame) -> Table:
    rows = [{str(key): _tagged(value) if key == "says" else value for key, value in row.items()}
            for row in told_apart(table).to_dict("records")]  # fmt: skip
    labels = {"question": "asked", "well": f"above {WELL:g}"}
    columns = [Column(name, labels.get(name, ""), TOLD[name], digits=2) for name in TOLD]
    return page_table("Which knobs tell methods apart", columns, rows, name="truth-knobs")


def _tagged(says: str) -> Cell:
    return Cell(Markup('<span class="tag {}">{}</span>').format(TONES.get(says, ""), says), says)


def hardness_table(table: pd.DataFrame, knob: str) -> pd.DataFrame:
    """Return what the figure of a knob shows, with the columns `HARDNESS_COLUMNS`."""
    own = summarize(table[table["knob"] == knob], by=("question", "level", "method"))
    order = {level: k for k, level in enumerate(dict.fromkeys(own["level"]))}
    own = own.sort_values("level", key=lambda levels: levels.map(order), kind="stable")
    titles = own["question"].map({question: f"{words[:1].upper()}{words[1:]}" for question, words in WORDS.items()})
    made = own.assign(question=titles, ours=own["method"].map(is_ours))
    named = made.rename(columns={"auroc": "score", "auroc_low": "low", "auroc_high": "high"})
    return pd.DataFrame(named[list(HARDNESS_COLUMNS)])


def _knob(table: pd.DataFrame, knob: str, folder: Path) -> dict[str, Any]:
    shown = hardness_table(table, knob)
    file = folder / "figures" / typed(knob)
    if shown["score"].notna().any():
        save(hardness(shown), file)
    levels = list(dict.fromkeys(table.loc[table["knob"] == knob, "level"]))
    told = [f"{row.question}: {row.says}" for row in told_apart(table[table["knob"] == knob]).itertuples()]
    return {
        "name": knob, "key": file.name, "told": "; ".join(told),
        "levels": levels if levels != [knob] else [],
        "picture": picture(file, hardness_shown(shown)) if shown["score"].notna().any() else None,
    }  # fmt: skip


def _method(tried: Tried, name: str) -> dict[str, Any]:
    """Return what a method gets wrong, and the network on which it does worst, with its answers there."""
    worst = lowest_of(tried.table, name)
    made: dict[str, Any] = {
        "name": name,
        "ours": is_ours(name),
        "says": METHODS[name].says if name in METHODS else "",
        "faults": faults(tried.table, name),
        "circuit": None,
    }
    if worst is None:
        return made
    where = {key: worst[key] for key in ("question", "knob", "level", "seed")}
    answers = tried.answers[(tried.answers[["method", *where]] == [name, *where.values()]).all(axis=1)]
    rows = circuit_rows(answers)
    wrong = sum(row["wrong"] == "wrong" for row in rows)
    place = worst["knob"] if worst["knob"] == worst["level"] else f"{worst['knob']}: {worst['level']}"
    caption = (f"{name} on one network, {place}, asked {WORDS[str(worst['question'])]}: "
               f"{wrong} of {many(len(rows), 'answer')} wrong")  # fmt: skip
    return made | {"circuit": page_table(caption, _CIRCUIT, rows, name=f"truth_{typed(name)}")}


_CIRCUIT = (
    Column("unit", meaning="with its layer, where there are several"),
    Column("planted", meaning="what it was planted as; nothing for one that does nothing"),
    Column("name", "asked about", "the signal, or the target"), Column("label", "known", "what is known of the two"),
    Column("score", meaning="of the method"),
    Column("verdict", "says", "of the method; where it has no verdicts, the rank of its score"),
    Column("wrong", meaning="whether that is wrong; without verdicts, whether a no stands above this yes, or no yes "
           "below this no"),
)  # fmt: skip


def circuit_rows(answers: pd.DataFrame, most: int = 24) -> list[dict[str, Any]]:
    """Return a row for each answer on one network, of those asked about most wrongly where there are many.

    Args:
        answers: columns `ANSWERS` of one method, question and network.
        most: rows; with more, only the name with the most wrong ones is shown.
    """
    judged = answers["verdict"].notna().any()
    scores, answer = answers["score"].fillna(-float("inf")), answers["answer"].astype(bool)
    if judged:
        wrong = answers["verdict"].fillna(False).astype(bool) != answer
    else:
        best_no = scores.where(~answer).groupby(answers["name"]).transform("max")
        worst_yes = scores.where(answer).groupby(answers["name"]).transform("min")
        wrong = (answer & (scores <= best_no)) | (~answer & (scores >= worst_yes))
    ranks = scores.groupby(answers["name"]).rank(ascending=False, method="min").astype(int)
    shown = answers.assign(wrong=wrong, rank=ranks)
    if len(shown) > most:
        name = shown.groupby("name", sort=False)["wrong"].sum().idxmax()
        shown = shown[shown["name"] == name]
    said = {True: "yes", False: "no"}
    several = answers["layer"].nunique() > 1
    return [
        {"unit": f"{row['layer']}·{row['unit']}" if several else row["unit"],
         "planted": row["planted"] or "–", "name": row["name"],
         "label": f"{said[bool(row['answer'])]}: {row['label']}", "score": float(row["score"]),
         "verdict": ("–" if pd.isna(row["verdict"]) else said[bool(row["verdict"])]) if judged
         else f"{row['rank']} of {int((shown['name'] == row['name']).sum())}",
         "wrong": "wrong" if row["wrong"] else ""}
        for row in shown.sort_values(["name", "score"], ascending=[True, False], kind="stable").to_dict("records")
    ]  # fmt: skip
