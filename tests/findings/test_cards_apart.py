"""Cards taken apart: every sentence is one of those that are known here, and every number in it a table's cell."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.columns import CONFOUND_COLUMNS
from lstm_probe.findings.facts import find
from lstm_probe.findings.words import unit_words
from lstm_probe.runs.findings import make_cards
from tests.figures.made import ablation_row, ablations, populations, probe_row, set_row, sets

INFO = {"scores": {"a": 0.99}, "learned": {"a": True}, "solved": True}
SIGNALS = {"a": "r2", "b": "auroc", "d": "r2", "e": "macro_auroc"}
KINDS = {"a": "continuous", "b": "binary", "d": "circular", "e": "categorical"}
SCALES = {"r2": "R²", "auroc": "2·AUROC − 1", "macro_auroc": "2·AUROC − 1"}
LAGS, N, NAME = (0, 1, 2, 3, 5), r"(-?\d+\.\d\d)", r"([abde])"
SCALE = r"(R²|2·AUROC − 1)"
ALSO = rf"{NAME}(?: of (\d+) steps? ago| (along a curve))? \(effect {N}, {SCALE}(?:; partial R² {N})?\)"
WHOLE = {"continuous", "binary"}
LIKE = re.compile("can't be told from|is nearly one class of|is nearly the sine or cosine of|nearly includes|"
                  "as its sine or cosine|as one of its classes|has a part nearly in common with")  # fmt: skip
LIKE_BY_KINDS = {kind: ["can't be told from", "is nearly one class of", "is nearly the sine or cosine of"]
                 for kind in WHOLE}  # fmt: skip
LIKE_BY_KINDS["circular"] = ["nearly includes", "as its sine or cosine", "has a part nearly in common with"]
LIKE_BY_KINDS["categorical"] = ["nearly includes", "as one of its classes", "has a part nearly in common with"]
INPUTS = r"(?:its last input alone|its last (?:(\d+) to )?(\d+) inputs|more than its last (\d+) inputs)"


def made(seed, units=8):
    """Tables whose cells are all different, so that a number is found in one place only."""
    rng = np.random.default_rng(seed)
    draw = lambda low=0.0, high=1.0: float(rng.uniform(low, high))  # noqa: E731
    rows, memory, confounds, costs = [], [], [], []
    for unit in range(units):
        for signal, metric in SIGNALS.items():
            tracks, curved = rng.random() < 0.15, rng.random() < 0.2
            measured = {name: draw() for name in ("untrained", "untrained_best", "input_only", "input_window",
                                                  "time_only", "ci_low", "ci_high", "p_family", "curved")}  # fmt: skip
            rows.append(probe_row(
                unit, signal, draw(), tracks, metric=metric, kind=KINDS[signal],
                **{k: v for k, v in measured.items() if k != "curved"},
                past_swap=draw() if rng.random() < 0.7 else math.nan, p_untrained=draw(),
                depth=float(rng.choice([1, 2, 3, 5, 8, 12, 16, math.inf, math.nan])),
            ) | {"curved": measured["curved"], "tracks_curved": curved and not tracks})  # fmt: skip
            memory += [
                probe_row(unit, signal, draw(), metric=metric, lag=lag, signal_itself=draw(), input_only=draw(),
                          time_only=draw(), untrained=draw(), held=lag > 0 and not tracks and rng.random() < 0.06)
                for lag in LAGS
            ]  # fmt: skip
            same = ",".join(s for s in SIGNALS if s != signal and rng.random() < 0.3)
            confounds.append(dict.fromkeys(CONFOUND_COLUMNS, 0.0) | {
                "layer": 0, "direction": "forward", "variable": "c", "unit": unit, "signal": signal, "lag": 0,
                "kind": KINDS[signal], "effect": draw(), "partial": draw(high=0.3), "ci_low": draw(-0.1, 0.2),
                "ci_high": draw(0, 0.2), "collinear_with": same,
            })  # fmt: skip
            measured = {"score_drop": draw(), "readout_drop": draw(-0.1, 1.2) if rng.random() < 0.8 else math.nan}
            costs.append(ablation_row(unit, signal, draw(-0.05, 1.0), off_data=unit % 5 == 2, **measured))
    table, clamped = pd.DataFrame(rows), ablations(*costs)
    need = rng.choice(["alone", "together", "no", "not measured"], units)
    clamped["needed"] = need[clamped["unit"]]
    clamped.loc[clamped["needed"].eq("alone") & clamped["target"].eq("d"), "needed"] = "no"
    clamped.loc[clamped["needed"].eq("together") & clamped["target"].eq("b"), "needed"] = "no"
    at_once = {"needed together": np.flatnonzero(need == "together"), "not needed": np.flatnonzero(need == "no")}
    joint = sets(*(
        set_row(", ".join(map(str, members)), signal, draw(-0.05, 1.0), why, score_drop=draw(), readout_drop=draw())
        for why, members in at_once.items() if len(members) > 1 for signal in SIGNALS
    ))  # fmt: skip
    table = table.assign(testable=table["signal"] != "e" if seed % 2 else True)
    table.loc[~table["testable"], ["tracks", "tracks_curved"]] = False
    return {"probes": table, "memory": pd.DataFrame(memory), "confounds": pd.DataFrame(confounds),
            "ablations": clamped, "sets": joint}  # fmt: skip


def two(value, digits=2):
    return f"{value:.{digits}f}".replace("-0.00", "0.00") if abs(value) < 0.005 else f"{value:.{digits}f}"


class Cells:
    """The cells of one unit, by table, signal and lag."""

    def __init__(self, tables, unit):
        self.tables = {name: table[table["unit"] == unit] for name, table in tables.items() if "unit" in table}
        self.unit, self.sets, self.costs = unit, tables["sets"], tables["ablations"]

    def __call__(self, name, column, signal, lag=0):
        table = self.tables[name]
        (value,) = table.loc[(table["signal"] == signal) & (table["lag"] == lag), column]
        return value

    def effect(self, signal, lag, curve):
        name, column = ("memory", "effect") if int(lag or 0) else ("probes", "curved" if curve else "effect")
        return two(self(name, column, signal, int(lag or 0)))

    def also(self, words):
        """Check "a of 2 steps ago (effect 0.30, R²; partial R² 0.12)", one or several."""
        for signal, lag, curve, effect, scale, partial in re.findall(ALSO, words):
            assert effect == self.effect(signal, lag, curve) and scale == SCALES[SIGNALS[signal]]
            assert bool(partial) == (not lag and not curve)
            if partial:
                assert partial == two(self("confounds", "partial", signal))
        left = re.sub(ALSO, "", words).strip(" ,and")
        assert left == "", left


def check(sentence, cells, best):
    """Check one sentence; return whether it is a known one, and what the unit holds best."""
    p = lambda column, signal=None, lag=0: cells("probes", column, signal or best[0], lag)  # noqa: E731
    if m := re.fullmatch(
        rf"It (tracks|holds) {NAME}(?: of (\d+) steps? ago)?: effect {N}(?: \[{N}, {N}\])? "
        rf"\({SCALE}(?:; p (= [\d.]+|< 0.001) over all units, variables and signals)?\)\.",
        sentence,
    ):
        verb, signal, lag, effect, low, high, scale, p_family = m.groups()
        assert effect == cells.effect(signal, lag, "") and scale == SCALES[SIGNALS[signal]]
        assert (verb == "holds") == bool(lag) == (low is None) == (p_family is None)
        if lag:
            assert cells("memory", "held", signal, int(lag))
        else:
            assert (low, high) == (two(p("ci_low", signal)), two(p("ci_high", signal))) and p("tracks", signal)
            assert abs(float(p_family[2:]) - p("p_family", signal)) <= 0.005
        return True, (signal, int(lag or 0), False)
    if m := re.fullmatch(rf"It tracks {NAME} along a curve: effect {N} \({SCALE}\); a straight line tells {N} of it\.",
                         sentence):  # fmt: skip
        signal, effect, scale, straight = m.groups()
        assert p("tracks_curved", signal) and scale == SCALES[SIGNALS[signal]]
        assert (effect, straight) == (two(p("curved", signal)), two(p("effect", signal)))
        return True, (signal, 0, True)
    if m := re.fullmatch(r"For comparison: (.*?)\.( So training was not needed for a unit like this one\.)?", sentence):
        names = {"the best untrained unit": "untrained_best", f"the present {best[0]}": "signal_itself",
                 "the present input alone": "input_only", "the last 4 inputs by a straight line": "input_window",
                 "the step's number alone": "time_only",
                 "the unit itself after another sequence's past": "past_swap"}  # fmt: skip
        told = dict(re.findall(rf"([^,]*?) {N}(?:, | and |$)", m[1]))
        table = "memory" if best[1] else "probes"
        for name, value in told.items():
            assert value == two(cells(table, names[name], best[0], best[1])), name
        wanted = {"input_only", "time_only"} | ({"signal_itself"} if best[1] else {"untrained_best", "input_window"})
        if not best[1] and not math.isnan(p("past_swap")):
            wanted |= {"past_swap"}
        assert wanted <= {names[name] for name in told}
        if not best[1]:
            assert bool(m[2]) == (p("untrained_best") >= p("effect"))
        return True, best
    if m := re.fullmatch(rf"For nine tenths of (that|what that is beyond the step's number) it needs {INPUTS}\.",
                         sentence):  # fmt: skip
        check_depth(p("depth"), *m.groups()[1:])
        assert (m[1] == "that") == (p("time_only") < 0.05)
        return True, best
    if sentence.startswith("Whether it needs more than its last input was not looked at"):
        assert math.isnan(p("past_swap")) and math.isnan(p("depth"))
        return True, best
    if m := re.fullmatch(rf"Likewise {NAME} of (.*) steps? ago\.", sentence):
        lags = {int(lag): value for lag, value in re.findall(rf"(\d+) \({N}\)", m[2])}
        held = {lag for lag in LAGS if cells("memory", "held", best[0], lag)}
        assert m[1] == best[0] and {*lags} == held - {best[1]}
        assert all(value == two(cells("memory", "effect", best[0], lag)) for lag, value in lags.items())
        return True, best
    does = r"; the present . does so about as well|, better than the present . does"
    does += r"|; up to (\d+) ago better than the present . does"
    if m := re.fullmatch(
        rf"It still tells {NAME} as it was (\d+) steps? ago(, the longest that was looked at)?(?:{does})\.", sentence
    ):
        assert m[1] == best[0] and int(m[2]) in LAGS and bool(m[3]) == (int(m[2]) == LAGS[-1])
        assert all(cells("memory", "effect", m[1], lag) >= 0.25 for lag in LAGS[-1:] if m[3])
        return True, best
    if sentence == f"It was not found to tell {best and best[0]} of earlier steps.":
        return True, best
    if m := re.fullmatch(rf"Of what the present input \(by a straight line\), the step's number and (all other signals|"
                         rf"all signals that can be told from it) leave open in {NAME}, it explains( only)? {N} "
                         r"\(partial R²\)\.", sentence):  # fmt: skip
        partial = cells("confounds", "partial", best[0])
        assert m[2] == best[0] and m[4] == two(partial) and bool(m[3]) == (float(m[4]) < 0.25)
        assert (m[1] == "all other signals") == (cells("confounds", "collinear_with", best[0]) == "")
        return True, best
    if m := re.fullmatch(r"(.*) are nearly the same in these sequences, so it can't be said to track one rather than "
                         r"the other\.", sentence):  # fmt: skip
        same = [name for name in cells("confounds", "collinear_with", best[0]).split(",") if KINDS[name] in WHOLE]
        assert KINDS[best[0]] in WHOLE and re.findall(NAME, m[1].replace(" and ", " ")) == [best[0], *same]
        return True, best
    if m := re.fullmatch(rf"In these sequences {NAME} (.*); the unit tells (.*) \(R²\)\.", sentence):
        same = cells("confounds", "collinear_with", best[0]).split(",")
        same = [name for name in same if not {KINDS[name], KINDS[best[0]]} <= WHOLE]
        assert m[1] == best[0] and {*LIKE.findall(m[2])} <= {*LIKE_BY_KINDS[KINDS[best[0]]]}
        told = dict(map(reversed, re.findall(rf"{N} of {NAME}", m[3])))
        assert told == {name: two(cells("confounds", "effect", name)) for name in same}
        assert sorted(re.findall(r"\b[abde]\b(?! part)", m[2])) == sorted(same)
        return True, best
    if m := re.fullmatch(r"It also tracks (.*)\.", sentence):
        cells.also(m[1])
        for signal, lag, curve, *_ in re.findall(ALSO, m[1]):
            if not lag and not curve:
                assert cells("confounds", "partial", signal) >= 0.05 and cells("confounds", "ci_low", signal) > 0
        return True, best
    if re.fullmatch(r"Whether .* adds? to the other signals was not measured\.", sentence):
        return True, best
    if m := re.fullmatch(rf"It goes with (.*), which ((?:{LIKE.pattern}).*) in these sequences\.", sentence):
        cells.also(m[1])
        (kind,) = (KINDS[signal] for signal, *_ in re.findall(ALSO, m[1]))
        assert {*LIKE.findall(m[2])} <= {*LIKE_BY_KINDS[kind]}
        return True, best
    if m := re.fullmatch(r"It goes with (.*), as . does: (where everything else is known it adds next to nothing|that "
                         r"it adds to all other signals was not shown)\.", sentence):  # fmt: skip
        cells.also(m[1])
        for signal, *_ in re.findall(ALSO, m[1]):
            assert cells("confounds", "partial", signal) < 0.05 or cells("confounds", "ci_low", signal) <= 0
            assert (cells("confounds", "ci_high", signal) < 0.05) == m[2].startswith("where")
        return True, best
    if m := re.fullmatch(rf"Its c was not found to track any of the (\d) known signals( that could be tested)? \(best: "
                         rf"{NAME}, effect {N}, {SCALE}; the best untrained unit {N}(.*)\)\.", sentence):  # fmt: skip
        own = cells.tables["probes"]
        names = {"the present input alone": "input_only", "the step's number alone": "time_only"}
        more = {names[name]: value for name, value in re.findall(rf"(?:, | and )(the .*? alone) {N}", m[7])}
        assert more == {name: two(p(name, m[3])) for name in names.values() if float(two(p(name, m[3]))) > float(m[6])}
        assert int(m[1]) == own["testable"].sum() and bool(m[2]) == (not own["testable"].all())
        assert (m[4], m[6]) == (two(p("effect", m[3])), two(p("untrained_best", m[3])))
        assert m[5] == SCALES[SIGNALS[m[3]]] and not own["tracks"].any() and p("testable", m[3])
        return True, best
    if m := re.fullmatch(
        rf"{NAME} can be read from it \(effect {N}, {SCALE}\), but (?:among untrained networks that is "
        rf"nothing special|(that this is rare) among untrained networks was not shown) \(p (= [\d.]+|< 0.001)\): "
        rf"(a fading memory can tell as much|no unit of those tried tells as much); for nine tenths of "
        rf"(that|what that is beyond the step's number) it needs {INPUTS}\.",
        sentence,
    ):
        assert m[2] == two(p("effect", m[1])) and m[3] == SCALES[SIGNALS[m[1]]]
        assert bool(m[4]) == (p("effect", m[1]) > p("untrained_best", m[1])) == m[6].startswith("no unit")
        assert abs(float(m[5][2:]) - p("p_untrained", m[1])) <= 0.005 and p("p_untrained", m[1]) > 0.05
        assert (m[7] == "that") == (p("time_only", m[1]) < 0.05)
        check_depth(p("depth", m[1]), *m.groups()[7:])
        return True, best
    if sentence == "Whether it tracks e could not be tested.":
        return not p("testable", "e"), best
    return check_costs(sentence, cells), best


def check_depth(depth, first, last, more):
    tried = (0, 1, 2, 3, 5, 8, 12, 16)
    if more:
        assert math.isinf(depth) and more == "16"
    elif last is None:
        assert depth == 1
    else:
        before = tried[tried.index(int(depth)) - 1]
        assert int(last) == depth and int(first or last) == before + 1


COST = rf"of {NAME} by (-?\d+\.\d+)(?: \((?:(all of it gone from h)|of which {N} is gone from h altogether)?(?:; )?" \
    rf"(?:as it stands {N})?\))?"  # fmt: skip


def check_losses(words, rows, targets):
    """Check "of a by 0.37 (of which 0.21 is gone from h altogether; as it stands 1.00)", one or several."""
    rows = rows.set_index("target")
    told = re.findall(COST, words)
    losses = [float(loss) for _, loss, *_ in told]
    assert {target for target, *_ in told} == targets and losses == sorted(losses, reverse=True)
    for target, loss, all_of_it, gone, stands in told:
        row = rows.loc[target]
        assert loss == (two(row.refit_drop) if abs(row.refit_drop) >= 0.005 else f"{row.refit_drop:z.3f}")
        least = min(max(row.readout_drop, 0), row.refit_drop)
        known = not math.isnan(row.readout_drop) and row.refit_drop >= 0.05
        assert bool(all_of_it or gone) == known
        assert not known or bool(all_of_it) == (two(least) == two(row.refit_drop))
        assert gone in ("", two(least))
        low, high = sorted((row.refit_drop, row.score_drop))
        assert stands == (two(row.score_drop) if high - low >= 0.1 and high >= 1.5 * low else "")


def check_costs(sentence, cells):
    """Check what is said of need; return whether it is a known sentence."""
    own = cells.tables["ablations"]
    need = {*own["needed"]}
    alone = {*own.loc[own["needed"] == "alone", "target"]}
    rest = own[own["needed"] != "alone"].set_index("target")["refit_drop"]
    little = rf"{two(max(rest.max(), 0), 3)} at most" if len(rest) else ""
    others = r"; other targets were not found to lose anything that counts \((.*)\)\."
    if m := re.fullmatch(rf"Needed alone: clamped, it lowers the score (.*){others}", sentence):
        check_losses(m[1], own, alone)
        return bool(alone) and m[2] == f"{rest.idxmax()}: {little}"
    start = f"lamped alone, it was not found to cost anything that counts ({rest.idxmax()}: {little})"
    if sentence == f"C{start}; others may do the same as it.":
        return need == {"not measured"}
    if sentence == f"C{start}.":
        return "together" in need
    targets = {*own.loc[own["needed"] == "together", "target"]}
    if m := re.fullmatch(r"Needed together with (units? .*): clamped at once, they lower the score (.*)\.", sentence):
        members = np.flatnonzero([("together" in {*one["needed"]}) for _, one in cells.costs.groupby("unit")])
        assert m[1] == unit_words([str(unit) for unit in members if unit != cells.unit])
        check_losses(m[2], cells.sets[cells.sets["why"] == "needed together"], targets)
        return cells.unit in members
    if m := re.fullmatch(r"Needed together with others, for (.*)\.", sentence):
        return {*re.findall(NAME, m[1].replace(" and ", ", "))} == targets and len(targets) > 0
    if sentence.startswith(f"Not needed: c{start}"):
        units = cells.costs.groupby("unit")["needed"].agg(lambda said: {*said} == {"no"})
        joint = cells.sets[cells.sets["why"] == "not needed"].set_index("target")["refit_drop"]
        other = units.sum() - 1
        at_once = f"; clamped at once with the other {other} that {'is' if other == 1 else 'are'} not needed, nor so ("
        share = ""
        if len(joint):
            value = round(100 * joint["a"], 1)
            digits = f"{value:.0f}" if 10 <= value <= 90 else f"{value:.1f}".removesuffix(".0")
            share = f"{digits} %" if joint["a"] >= 0.0005 else "less than 0.1 %"
        assert sentence.removeprefix(f"Not needed: c{start}") == (f"{at_once}{share} of a)." if other else ".")
        return need == {"no"}
    if sentence == ("The clamp lies far off the data (outside of what the unit ever took, or with h outside of its "
                    "range), so that a cost may be of that."):  # fmt: skip
        return cells.unit % 5 == 2
    return False


@pytest.mark.parametrize("seed", range(12))
def test_every_sentence_of_every_card_is_in_the_tables(seed):
    tables = made(seed)
    found = find(INFO, tables["probes"], populations(), tables["ablations"], memory=tables["memory"],
                 confounds=tables["confounds"], sets=tables["sets"])  # fmt: skip
    settings = {"probe": {"window": 3, "alpha": 0.05}, "ablate": {}}
    for card in make_cards(found, tables, settings):
        cells, best = Cells(tables, int(card.label)), None
        for sentence in card.sentences:
            known, best = check(sentence, cells, best)
            assert known, sentence
        nothing = best is None
        assert nothing == ("nothing found" in card.title) == ("nothing found" in card.status)
        if not nothing:
            ago = f" of {best[1]} step{'' if best[1] == 1 else 's'} ago" if best[1] else ""
            named = best[0] + ago + (" along a curve" if best[2] else "")
            assert card.title.startswith(f"Unit {card.label}, c: {named}") and card.status.startswith("tracks")


def test_they_hold_all_kinds_of_findings():
    """What is taken apart above has every kind of sentence in it."""
    said = []
    for seed in range(12):
        tables = made(seed)
        found = find(INFO, tables["probes"], populations(), tables["ablations"], memory=tables["memory"],
                     confounds=tables["confounds"], sets=tables["sets"])  # fmt: skip
        cards = make_cards(found, tables, {"probe": {"window": 3}, "ablate": {}})
        said += [sentence for card in cards for sentence in card.sentences]
    for words in ("It tracks", "It holds", "along a curve: effect", "It also tracks", "It goes with", "told from",
                  "nearly the same", "the unit tells", "is nearly", "nearly includes", "in common",
                  "Likewise", "can be read", "It still tells", "not looked at", "could not be tested", "only",
                  "was not found to cost", "training was not needed", "Needed alone", "Needed together with unit",
                  "Needed together with others", "nor so", "others may do", "as it stands", "all of it gone",
                  "altogether", "far off"):  # fmt: skip
        assert any(words in sentence for sentence in said), words
