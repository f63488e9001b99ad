"""The page of the benchmark: what methods find, miss and make up on networks with known answers."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from lstm_probe.core.files import PARTIAL, write_whole
from lstm_probe.core.holding import held
from lstm_probe.core.numbers import known, many, number
from lstm_probe.figures.hardness import HARDNESS_COLUMNS, hardness
from lstm_probe.figures.saving import save
from lstm_probe.findings.pictures import hardness_shown
from lstm_probe.report.pictures import picture
from lstm_probe.report.tables import Cell, Column, Table, frame_table, page_table
from lstm_probe.report.templating import template, write
from lstm_probe.truth.cases import KNOBS
from lstm_probe.truth.evaluation import rounded
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

PAGE = "index.html"
TONES = {"told apart": "good", "easy": "part", "no method": "bad"}


def write_truth(tried: Tried, outputs: Path, *, whole: bool, held_out: bool) -> Path:
    """Write the table, all answers, the figures and the page into `outputs`/truth; return the page's path.

    They are made beside it, and put there when all are there: whoever is killed before leaves what stood there, and of
    two at once one comes after the other. Figures of knobs that the page has not go; other files there stay.

    Args:
        tried: what methods said.
        outputs: the folder in which truth/ is made.
        whole: whether every level was tried.
        held_out: whether the networks are those that nothing may be tuned on.
    """
    folder = outputs / "truth"
    made = folder.with_name(f".truth{PARTIAL}")
    with held(folder.with_name(".truth.lock")):
        shutil.rmtree(made, ignore_errors=True)
        try:
            _write_into(made, tried, whole, held_out)
            _put(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder / PAGE


def _put(made: Path, folder: Path) -> None:
    """Put all files that were made into their places, the page last, and take away figures of an earlier one."""
    names = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: name == Path(PAGE)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).replace(folder / name)
    for figure in (Path("figures") / f"{typed(knob)}.{suffix}" for knob in KNOBS for suffix in ("svg", "png")):
        if figure not in names:
            (folder / figure).unlink(missing_ok=True)


def _write_into(folder: Path, tried: Tried, whole: bool, held_out: bool) -> None:
    folder.mkdir(parents=True)
    for name, table in (("truth", tried.table), ("answers", tried.answers)):
        stream = io.BytesIO()
        table.to_parquet(stream, index=False)
        write_whole(folder / f"{name}.parquet", stream.getvalue())
    methods = list(dict.fromkeys(tried.table["method"]))
    page = template("truth.html").render(
        gist=gist(tried.table), whole=whole, held_out=held_out, trained="trained" in set(tried.table["knob"]),
        matrices=list(_matrices(tried.table)),
        told=_told_table(tried.table) if len(methods) > 1 else None,
        summary=frame_table("Each method, question and knob", summarize(tried.table), SUMMARY, name="truth-summary"),
        knobs=[_knob(tried.table, knob, folder) for knob in dict.fromkeys(tried.table["knob"])],
        methods=[_method(tried, name) for name in methods],
    )  # fmt: skip
    write(folder / PAGE, page)


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
    judged = known(float(worst["claims"]))
    rows, every = circuit_rows(answers, judged=judged), circuit_rows(answers, len(answers), judged)
    place = worst["knob"] if worst["knob"] == worst["level"] else f"{worst['knob']}: {worst['level']}"
    told = [f"AUROC {number(worst['auroc'])}"] if known(worst["auroc"]) else []
    for word, wrong in (("rank", "ranked wrong"), ("verdict", "said wrong")):
        if judged if word == "verdict" else told:
            count = sum(word in row["wrong"] for row in every)
            told.append(f"{count} of {many(len(every), 'answer')} {wrong}")
    part = f"; shown are those on {rows[0]['name']}" if len(rows) < len(every) else ""
    caption = f"{name} on one network, {place}, asked {WORDS[str(worst['question'])]}: {', '.join(told)}{part}"
    return made | {"circuit": page_table(caption, _CIRCUIT, rows, name=f"truth_{typed(name)}")}


_CIRCUIT = (
    Column("unit", meaning="with its layer, where there are several"),
    Column("planted", meaning="what it was planted as; nothing for one that does nothing"),
    Column("name", "asked about", "the signal, or the target"), Column("label", "known", "what is known of the two"),
    Column("score", meaning="of the method"),
    Column("rank", meaning="of its score among all answers on this network, the highest first"),
    Column("verdict", "says", "of the method; a dash where it says neither yes nor no"),
    Column("wrong", meaning="rank: a yes below a no, or beside it, or a no above or beside a yes; verdict: the method "
           "says something else than what is known"),
)  # fmt: skip


def circuit_rows(answers: pd.DataFrame, most: int = 24, judged: bool = True) -> list[dict[str, Any]]:
    """Return a row for each answer on one network, of those asked about most wrongly where there are many.

    Args:
        answers: columns `ANSWERS` of one method, question and network.
        most: rows; with more, only the name with the most wrong ones is shown.
        judged: whether the method makes claims, if none here.
    """
    scores = pd.Series(rounded(answers["score"].to_numpy(dtype=float)), index=answers.index)  # as AUROC is of them
    answer = answers["answer"].astype(bool)
    yes = answer.to_numpy()
    below = np.less_equal.outer(scores.to_numpy(), scores.to_numpy()) & np.greater.outer(yes, yes)
    crossed = below.sum(1) + below.sum(0)  # of a yes with how many noes, of a no with how many yeses
    ranked = crossed > 0
    said = (answers["verdict"].fillna(False).astype(bool) != answer) & judged
    ranks = scores.rank(ascending=False, method="min").astype(int)
    shown = answers.assign(ranked=ranked, said=said, wrong=crossed + said, rank=ranks)
    if len(shown) > most:
        name = shown.groupby("name", sort=False)["wrong"].sum().idxmax()
        shown = shown[shown["name"] == name]
    words = {True: "yes", False: "no"}
    several = answers["layer"].nunique() > 1
    return [
        {"unit": f"{row['layer']}·{row['unit']}" if several else row["unit"],
         "planted": row["planted"] or "–", "name": row["name"],
         "label": f"{words[bool(row['answer'])]}: {row['label']}", "score": float(row["score"]),
         "rank": f"{row['rank']} of {len(answers)}",
         "verdict": "–" if pd.isna(row["verdict"]) else words[bool(row["verdict"])],
         "wrong": ", ".join(word for word, own in (("rank", row["ranked"]), ("verdict", row["said"])) if own)}
        for row in shown.sort_values(["name", "score"], ascending=[True, False], kind="stable").to_dict("records")
    ]  # fmt: skip
