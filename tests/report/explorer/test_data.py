"""What the explorer shows is what a run's tables say, and what they do not say stays unknown."""

import json

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.columns import MEMORY_COLUMNS, TUNING_COLUMNS
from lstm_probe.report.explorer import explorer_data
from lstm_probe.report.templating import island
from lstm_probe.runs.findings import find_in, make_cards, run_settings
from tests.figures.made import made_run
from tests.report.explorer.unpacking import unpacked


def data_of(run):
    findings = find_in(run)
    return explorer_data(run, findings, make_cards(findings, run.tables(), run_settings(run)))


def of_unit(table, unit, **where):
    """The rows of a table about a unit of the first layer, in c."""
    own = table[(table["unit"] == unit) & (table["variable"] == "c")]
    for name, value in where.items():
        own = own[own[name] == value]
    return own


def labels(data):
    return [unit["label"] for unit in data["units"]]


@pytest.fixture
def run(tmp_path):
    """8 units, the first 5 of which track a target each; numbers all differ."""
    made = made_run(tmp_path, 8)
    rng = np.random.default_rng(0)
    probes, ablations = made.probes, made.ablations
    made.__dict__["probes"] = probes.assign(
        effect=np.where(probes["tracks"], 0.9, 0) + rng.uniform(0, 0.1, len(probes)),
        ci_low=rng.uniform(0, 1, len(probes)), ci_high=rng.uniform(1, 2, len(probes)),
        untrained=rng.uniform(0, 1, len(probes)),
    )  # fmt: skip
    made.__dict__["ablations"] = ablations.assign(
        refit_drop=rng.uniform(0, 1, len(ablations)), refit_ci_low=rng.uniform(-1, 0, len(ablations)),
        refit_ci_high=rng.uniform(1, 2, len(ablations)), score_drop=7.0,
    )  # fmt: skip
    return made


def test_effects_and_losses_are_those_of_the_tables(run):
    data = data_of(run)
    assert labels(data) == [unit.label for unit in find_in(run).units] and len(labels(data)) == 8
    effects = {name: unpacked(packed) for name, packed in data["effects"].items()}
    losses = {name: unpacked(data["losses"][name]) for name in ("drop", "low", "high", "mark")}
    assert data["losses"]["refitted"] and data["losses"]["clamped_to"] == "its mean"
    for u, label in enumerate(labels(data)):
        for s, signal in enumerate(data["signals"]):
            row = of_unit(run.probes, int(label), signal=signal["name"]).iloc[0]
            shown = [effects[name][u, s] for name in ("effect", "low", "high", "untrained", "lag", "mark")]
            assert shown == [row["effect"], row["ci_low"], row["ci_high"], row["untrained"], 0, row["tracks"]]
        for t, target in enumerate(data["losses"]["targets"]):
            row = of_unit(run.ablations, int(label), target=target).iloc[0]
            shown = [losses[name][u, t] for name in ("drop", "low", "high")]
            assert shown == [row["refit_drop"], row["refit_ci_low"], row["refit_ci_high"]]
            assert losses["mark"][u, t] == {"alone": 1, "together": 2, "no": 3}[row["needed"]]


def test_of_several_lags_that_one_is_shown_at_which_it_tracks(run):
    later = run.probes.assign(lag=3, tracks=False, effect=1.5)
    nowhere = run.probes.assign(lag=2, tracks=False, effect=np.nan)
    run.__dict__["probes"] = pd.concat([nowhere, later, run.probes], ignore_index=True)
    effects = {name: unpacked(packed) for name, packed in data_of(run)["effects"].items()}
    assert (effects["lag"] == np.where(effects["mark"] == 1, 0, 3)).all() and (effects["mark"] == 1).sum() == 5
    assert (effects["effect"] == 1.5).sum() == 8 * 7 - 5


def test_what_is_not_known_is_no_number(run):
    run.__dict__["probes"] = run.probes.assign(effect=run.probes["effect"].where(run.probes["signal"] != "ticks"))
    run.__dict__["ablations"] = run.ablations.assign(
        refit_drop=run.ablations["refit_drop"].where(run.ablations["unit"] != 7), needed="not measured"
    )
    data = data_of(run)
    effects, drops = unpacked(data["effects"]["effect"]), unpacked(data["losses"]["drop"])
    assert (np.isnan(effects).sum(0) == [8 * (one["name"] == "ticks") for one in data["signals"]]).all()
    assert (np.isnan(drops).all(1) == [label == "7" for label in labels(data)]).all()
    assert (unpacked(data["losses"]["mark"]) == 0).all()
    assert "NaN" not in island("explorer-data", data)


def test_what_was_not_measured_of_one_unit_is_no_number(run):
    """As with signals that only one layer's units were probed for."""
    gone = (run.probes["unit"] == 7) & (run.probes["signal"] == "ticks")
    lost = (run.ablations["unit"] == 6) & (run.ablations["target"] == "leak")
    run.__dict__["probes"], run.__dict__["ablations"] = run.probes[~gone], run.ablations[~lost]
    data = data_of(run)
    unknown = {name: np.argwhere(np.isnan(unpacked(data["effects"][name]))) for name in ("effect", "low", "untrained")}
    place = [labels(data).index("7"), [one["name"] for one in data["signals"]].index("ticks")]
    assert all(found.tolist() == [place] for found in unknown.values())
    place = [labels(data).index("6"), data["losses"]["targets"].index("leak")]
    assert np.argwhere(np.isnan(unpacked(data["losses"]["drop"]))).tolist() == [place]


def test_losses_of_an_earlier_version_are_those_as_they_stand(run):
    run.__dict__["ablations"] = run.ablations.drop(columns=["refit_drop", "needed"])
    losses = data_of(run)["losses"]
    assert not losses["refitted"] and (unpacked(losses["drop"]) == 7).all() and (unpacked(losses["mark"]) == 0).all()


def test_earlier_values_and_curves_are_marked_as_such(run):
    bent = (run.probes["unit"] == 6) & (run.probes["signal"] == "leak") & (run.probes["variable"] == "c")
    run.__dict__["probes"] = run.probes.assign(curved=0.75, tracks_curved=bent)
    row = dict.fromkeys(MEMORY_COLUMNS, 0.0) | {
        "layer": 0, "direction": "forward", "variable": "c", "unit": 7, "signal": "count", "kind": "continuous",
        "role": "target", "metric": "r2", "lag": 5, "effect": 0.625, "signal_itself": 0.25, "held": True,
    }  # fmt: skip
    run.__dict__["memory"] = pd.DataFrame([row, row | {"lag": 0, "held": False, "effect": 0.125}])
    data = data_of(run)
    mark, places = unpacked(data["effects"]["mark"]), {one["name"]: s for s, one in enumerate(data["signals"])}
    six, seven = labels(data).index("6"), labels(data).index("7")
    assert mark[seven, places["count"]] == 3 and mark[six, places["leak"]] == 4 and (mark > 1).sum() == 2
    assert {(one["unit"], one["how"], one["lag"], one["effect"]) for one in data["held"]} == {
        (six, "curve", 0, 0.75), (seven, "earlier", 5, 0.625),
    }  # fmt: skip
    curve = data["memory"][0]
    assert curve["signal"] == places["count"] and curve["lag"] == [0, 5]
    assert curve["untrained"] == [0, 0] and curve["signal_itself"] == [0.25, 0.25]
    assert unpacked(curve["effect"])[seven].tolist() == [0.125, 0.625]
    assert np.isnan(unpacked(curve["effect"])[six]).all() and unpacked(curve["held"])[seven].tolist() == [0, 1]
    assert unpacked(data["examples"]["lag"])[seven, places["count"]] == 5


def test_tuning_curves_are_those_of_the_table(run):
    rows = [dict.fromkeys(TUNING_COLUMNS, 0.0) | {
        "layer": 0, "direction": "forward", "variable": "c", "unit": unit, "signal": signal, "lag": 0, "level": level,
        "n": 10 + level, "mean": unit + level / 8, "sd": level / 4, "ci_low": -level, "ci_high": level + unit,
    } for signal in ("count", "ticks") for unit in (3, 0) for level in (2.0, 1.0, 4.0)]  # fmt: skip
    run.__dict__["tuning"] = pd.DataFrame(rows)
    data = data_of(run)
    (curve,) = data["tuning"]  # ticks is a distractor that no unit tracks
    assert data["signals"][curve["signal"]]["name"] == "count" and curve["lag"] == 0
    assert unpacked(curve["level"]).tolist() == [1, 2, 4] and unpacked(curve["n"]).tolist() == [11, 12, 14]
    for unit in (0, 3):
        own = {name: unpacked(curve[name])[labels(data).index(str(unit))].tolist() for name in ("mean", "sd", "ci_low")}
        assert own == {"mean": [unit + 0.125, unit + 0.25, unit + 0.5], "sd": [0.25, 0.5, 1], "ci_low": [-1, -2, -4]}
    assert np.isnan(unpacked(curve["ci_high"])[labels(data).index("1")]).all()


def test_what_a_unit_tells_stands_beside_what_it_costs(run):
    against = data_of(run)["against"]
    c = run.probes[run.probes["variable"] == "c"]
    numbers = c[c["metric"] == "r2"].groupby("unit")["effect"].max()
    drops = run.ablations.groupby("unit")["refit_drop"].max()
    for u, label in enumerate(labels(data_of(run))):
        assert unpacked(against["strength"])[u] == numbers[int(label)]
        assert unpacked(against["refit_drop"])[u] == drops[int(label)]
    assert against["min_effect"] == 0.25 and against["min_drop"] == 0.01


def test_cards_and_groups_are_the_runs_own(run):
    data, findings = data_of(run), find_in(run)
    for shown, unit, card in zip(data["units"], findings.units, make_cards(findings, run.tables(), run_settings(run))):
        assert shown["title"] == card.title and shown["sentences"] == list(card.sentences)
        assert shown["status"] == unit.status and shown["quiet"] == unit.quiet
        assert shown["group"] == ("tracks" if unit.best else "nothing found, not needed")


@pytest.mark.parametrize("units", [1, 2])
def test_it_shrinks_to_what_there_is(tmp_path, units):
    run = made_run(tmp_path, units)
    run.__dict__["ablations"] = run.ablations[:0]
    run.__dict__["examples"] = {"inputs": run.examples["inputs"], "lengths": run.examples["lengths"]}
    data = data_of(run)
    assert data["losses"] is None and data["against"] is None and data["examples"] is None
    assert data["tuning"] == [] and data["memory"] == [] and len(data["units"]) == units
    json.loads(island("x", data).partition(">")[2].rpartition("</")[0])


def test_a_run_on_which_nothing_was_measured_has_none(tmp_path):
    run = made_run(tmp_path)
    run.__dict__["probes"] = run.probes[:0]
    run.__dict__["ablations"] = run.ablations[:0]
    run.__dict__["populations"] = run.populations[:0]
    assert data_of(run) is None
