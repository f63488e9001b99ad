"""What the table of how memories are written, held and read says: three sentences on a unit, a row, what is drawn."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.numbers import known, number, two_digits
from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.dynamics.flow import HOLD, READ, WRITE
from lstm_probe.dynamics.reading import NEAR

#: As many events, and units that read, are named.
MOST_NAMED, MOST_READERS = 4, 3
#: Slopes of c on c before an event: below the first it turns the memory over, above the second it adds to it.
TURNS_OVER, ADDS = -0.25, 0.5
HALF = 0.5
#: Shares of a variance outside of these are not told: next to nothing, and those of units that work against others.
LEAST_SHARE, MOST_SHARE = 0.005, 1.05
#: Time constants below this are not told.
SHORTEST = 0.1
#: Units that are drawn.
MOST_DRAWN = 5

#: What a table says of its cell (`attrs` of `memory_flow`) where it says nothing: an LSTM's.
_USUAL: dict[str, Any] = {"keeps": "f", "words": {name: LSTM.word(name) for name in LSTM.names}, "makes": list("ifg")}


def flow_sentences(own: pd.DataFrame, _: object) -> Iterator[str]:
    """Say what writes a unit, what keeps it, and who reads it, as far as an intervention confirmed it.

    Args:
        own: the unit's rows of `memory_flow`.
    """
    if own.empty:
        return
    about = _USUAL | own.attrs
    by_link = {link: own[own["link"] == link] for link in (WRITE, HOLD, READ)}
    key = (int(own["layer"].iloc[0]), str(own["direction"].iloc[0]), int(own["unit"].iloc[0]))
    label = unit_label(key, "·" in str(by_link[READ]["other"].iloc[-1]))
    written = by_link[WRITE][by_link[WRITE]["effect"].notna()]
    yield _written_words(written.sort_values("effect", ascending=False, kind="stable"), about["keeps"])
    read = by_link[READ].sort_values("effect", ascending=False, kind="stable")
    confirmed = read[_true(read["confirmed"])]
    gate = about["words"].get(about["keeps"], "")
    yield _held_words(by_link[HOLD], gate, kept_in(own))
    if read["effect"].isna().all():
        yield "Who reads it was not shown: at the steps looked at, its value is the same in all sequences."
        return
    memory = own["variable"].iloc[0]
    heard = {name: word for name, word in about["words"].items() if name != memory or name in about["makes"]}
    yield _read_words(confirmed[~confirmed["other"].str.startswith(f"unit {label} ")], heard)


def _true(flags: pd.Series) -> "pd.Series[bool]":
    """Return which of these are true, and neither false nor missing."""
    return flags.fillna(value=False).astype(bool)


def _listed(words: list[str], most: int = MOST_NAMED) -> str:
    """Return "a, b and c", at most so many of them by name."""
    words = words[:most] + ["others"] * (len(words) > most)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def kept_in(table: pd.DataFrame) -> str:
    """Return the column that says what is kept: f where the gate that keeps is called so, else kept."""
    return "f" if table.attrs.get("keeps", _USUAL["keeps"]) == "f" else "kept"


def event_words(row: Any, keeps: str = "f") -> str:
    """Return an event with what it writes: "set (+0.91, f 0.02)"; "±" where it goes either way.

    Where the memory then is what was written, that is i · g of an LSTM, else what the event adds. `keeps` is the gate
    that keeps, if there is one.
    """
    sets = row.slope < ADDS and row.written * row.signed > 0 and abs(row.written) >= HALF * row.effect
    value = row.written if sets else row.signed
    amount = f"{value:+.2g}".replace("-", "−")
    if row.slope < TURNS_OVER or abs(value) < HALF * row.effect:
        amount = f"±{row.effect:.2g}"
    gate = f", {keeps} {number(row.f if keeps == 'f' else row.kept)}" if keeps else ""
    return f"{_named(row.other)} ({amount}{gate})"


def _named(event: str) -> str:
    """Return an event's name, a single character in quotes."""
    return f"'{event}'" if len(event) == 1 else event


def _written_words(rows: pd.DataFrame, keeps: str) -> str:
    if rows.empty:
        return "What writes it was not shown: no input event comes alone often enough to be told from others."
    confirmed = _true(rows["confirmed"])
    events, others = [event_words(row, keeps) for row in rows[confirmed].itertuples()], rows[~confirmed]
    least, most = rows["least"].iloc[0], others["effect"].max()
    if not events and not most >= least > 0:
        return f"No input event was confirmed to write it: none that was put in changes it by more than {most:.2g}."
    doubtful = [f"{_named(row.other)} ({row.effect:.2g})" for row in others[others["effect"] >= least].itertuples()]
    rest = f"; nothing else that was put in changes it by more than {most:.2g}" if len(others) else ""
    if doubtful:
        rest = f"; not confirmed: {_listed(doubtful)}"
    return f"Written by {_listed(events)}{rest}." if events else f"What writes it was not confirmed: {doubtful[0]}."


def _again(lasting: pd.DataFrame) -> str:
    """Return who writes a value again: in the first step after an exchange only the unit itself can have read it.

    It does so alone where what it then leaves, step by step, is as much as there is at last. Others do where that is
    no more than what its gate leaves; else they may.
    """
    step, last = lasting.iloc[0], lasting.iloc[-1]
    if step["lag"] != 1:
        return "it is written again"
    if abs(step["effect"]) ** int(last["lag"]) >= abs(last["effect"]) - NEAR:
        return "it rewrites itself"
    return "others write it again" if step["confirmed"] else "it rewrites itself, with or without others"


def _held_words(rows: pd.DataFrame, gate: str, kept_in: str) -> str:
    first = rows.iloc[0]
    without = "without these " if first["other"] else ""
    tau = two_digits(first["tau_forget"])
    tau = f" (time constant {tau} step{'s' * (tau != '1')})" if SHORTEST <= first["tau_forget"] < math.inf else ""
    share = number(first[kept_in])
    held = f"Held: {without}its {gate} is {share}{tau}" if gate else f"Held: {without}a step keeps {share} of it"
    alone_by = "that gate" if gate else "that"
    lasting = rows[rows["effect"].notna()]
    if lasting.empty:
        return f"{held}; how long a value lasts was not shown: too few sequences go on so, or its values do not differ."
    last = lasting.iloc[-1]
    left, alone = (float(last[name]) for name in ("effect", "gate_alone"))
    ago = f"{last['lag']} step{'' if last['lag'] == 1 else 's'}"
    kept = f"of another sequence's value {number(round(left, 2) + 0.0)} is left after {ago}"
    if not known(alone):
        return f"Held: {without}{kept}."
    if last["confirmed"]:
        return f"{held}, and {kept}, as {alone_by} alone would leave ({number(alone)})."
    more = left > alone if gate else abs(left) > abs(alone)
    why = _again(lasting) if more else "it is undone"
    return f"{held}, but {kept}, where {alone_by} alone would leave {number(alone)}: {why}."


def _read_words(confirmed: pd.DataFrame, words: Mapping[str, str]) -> str:
    outputs: Any = confirmed[confirmed["other"].str.startswith("output ")].itertuples()
    by = [f"{row.other} ({number(row.share)} of its variance)" if LEAST_SHARE <= row.share <= MOST_SHARE else
          f"{row.other} ({number(row.effect)} sd)" for row in outputs]  # fmt: skip
    heard: dict[str, str] = {}
    units: Any = confirmed[confirmed["other"].str.startswith("unit ")].itertuples()
    for row in units:
        _, label, name = str(row.other).split(" ")
        if name in words and label not in heard:
            heard[label] = f"the {words[name]} of unit {label} ({number(row.effect)} sd)"
    told = ([_listed(by)] if by else []) + ([f"by {_listed(list(heard.values()), MOST_READERS)}"] if heard else [])
    if not told:
        return "Nothing else was shown to read it: no output, and no unit, changes enough when it holds another value."
    if not by:
        return f"Read {told[0]}; no output was shown to read it."
    return f"Read by {', and '.join(told)}."


def flow_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each unit: what was confirmed to write it, how much is left at last, which outputs read it."""
    units, kept = list(table[UNIT].drop_duplicates().itertuples(index=False, name=None)), kept_in(table)
    layers, rows = several_layers(units), []
    # The rows of all units are gone through once: to pick each unit's from the table takes 17 times as long.
    linked, held = defaultdict[Any, list[str]](list), defaultdict[Any, list[tuple[Any, ...]]](list)
    confirmed = table[_true(table["confirmed"])].sort_values("effect", ascending=False, kind="stable")
    for *key, link, other in confirmed[[*UNIT, "link", "other"]].itertuples(index=False, name=None):
        linked[tuple(key), link].append(other)
    holds = table.loc[table["link"] == HOLD, [*UNIT, "lag", "effect", "gate_alone", kept]]
    for *key, lag, left, alone, share in holds.itertuples(index=False, name=None):
        held[tuple(key)].append((lag, left, alone, share))
    for unit in units:
        readers = linked[unit, READ]
        last = next((one for one in reversed(held[unit]) if known(one[1])), None)
        rows.append({
            "unit": unit_label(unit, layers), "written_by": ", ".join(linked[unit, WRITE][:MOST_NAMED]),
            kept: held[unit][0][3], "after": "" if last is None else str(last[0]),
            "left": float("nan") if last is None else last[1], "gate_alone": float("nan") if last is None else last[2],
            "read_by": ", ".join(one.removeprefix("output ") for one in readers if one.startswith("output ")),
        })  # fmt: skip
    return pd.DataFrame(rows).round(3)


def best_read(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the units that outputs read most, the best one of each output first."""
    reads = table[(table["link"] == READ) & table["other"].str.startswith("output ") & _true(table["confirmed"])]
    ranked = reads.sort_values("effect", ascending=False, kind="stable")
    leaders = ranked.drop_duplicates("other")
    order = list(dict.fromkeys(pd.concat([leaders, ranked])[UNIT].itertuples(index=False, name=None)))[:MOST_DRAWN]
    by_unit = dict(list(table.groupby(UNIT, sort=False)))
    drawn = pd.concat([by_unit[key] for key in order]) if order else table[:0]
    drawn.attrs = table.attrs
    return drawn
