"""What was measured, kept in outputs/reproduce/<key>.json, so that nothing is measured twice."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_probe.core.files import write_whole
from lstm_probe.reproduce.networks import settings
from lstm_probe.reproduce.result import Judgement, Result
from lstm_probe.runs.store import config_hash, result_config


@dataclass(frozen=True)
class Reproduction:
    """A result's values: by seed, what was measured, and the seconds it took."""

    result: Result
    values: Mapping[int, Mapping[str, float]]
    seconds: Mapping[int, float]

    @property
    def verdict(self) -> Judgement:
        """Return whether the result is reproduced."""
        return self.result.judge(list(self.values.values()))

    def of(self, measure: str) -> list[float]:
        """Return a measure's values, in the order of the seeds."""
        return [values[measure] for _, values in sorted(self.values.items())]


def result_hash(result: Result) -> str:
    """Return the hash of all that a result's values depend on, but for the seed."""
    what: dict[str, Any] = {
        "key": result.key, "computed": result.computed, "measures": [measure.name for measure in result.measures],
    }  # fmt: skip
    if result.trained:
        what["settings"] = result_config(settings(result.key))
    return config_hash(what)


def result_file(outputs: Path, key: str) -> Path:
    """Return where a result is kept."""
    return outputs / "reproduce" / f"{key}.json"


def load(result: Result, outputs: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept of a result: by seed, its values and seconds; nothing where it was measured otherwise."""
    try:
        content = json.loads(result_file(outputs, result.key).read_text(encoding="utf-8"))
        seeds = content["seeds"] if content["hash"] == result_hash(result) else {}
        names = {measure.name for measure in result.measures}
        return {seed: kept for seed, kept in seeds.items() if set(kept["values"]) == names and kept["seconds"] >= 0}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # not measured yet, or damaged: it is measured again


def save(result: Result, outputs: Path, seeds: Mapping[str, Any], verdict: Judgement) -> None:
    """Keep a result: whole or not at all."""
    path = result_file(outputs, result.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"key": result.key, "hash": result_hash(result), "verdict": verdict, "seeds": seeds}
    write_whole(path, json.dumps(content, indent=1) + "\n")


def reproduce(result: Result, outputs: Path, seeds: int, force: bool = False) -> Reproduction:
    """Measure a result in this many seeds, except those already kept; every seed is kept at once.

    Args:
        result: which one.
        outputs: the folder in which reproduce/<key>.json is made.
        seeds: how many.
        force: measure again what is kept already.
    """
    kept = {} if force else load(result, outputs)
    wanted = result.seeds(seeds)
    for seed in wanted:
        if str(seed) in kept:
            continue
        started = time.perf_counter()
        values = {name: float(value) for name, value in result.measure(seed).items()}
        kept[str(seed)] = {"values": values, "seconds": round(time.perf_counter() - started, 3)}
        so_far = [kept[str(s)]["values"] for s in wanted if str(s) in kept]
        save(result, outputs, kept, result.judge(so_far))
    return Reproduction(
        result,
        {seed: kept[str(seed)]["values"] for seed in wanted},
        {seed: kept[str(seed)]["seconds"] for seed in wanted},
    )
