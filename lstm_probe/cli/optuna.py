"""What Hydra's plugin for Optuna may do here: choose units, lr and other keys by the score of the runs so far.

The plugin (hydra-optuna-sweeper) is used as it is, with what would make or call other objects refused, and with
`maximize` as its direction, because what a job returns is the lowest test score of its run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from lstm_probe.core.numbers import short
from lstm_probe.core.yaml_files import load_yaml_file

#: The plugin's own file of what was found, in the sweep's folder.
FOUND = "optimization_results.yaml"
#: The plugin's key for a function of the user's own.
CALLED = "custom_search_space"


def _node(*names: str) -> Any:
    """Return a choice that a plugin has given to Hydra, by its groups and name; None where there is none."""
    found: Any = ConfigStore.instance().repo
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def prefer_high_scores() -> None:
    """Make it the plugin's default, where it is installed, that the score is to be as high as possible."""
    chosen = _node("hydra", "sweeper", "optuna.yaml")
    if chosen is not None:
        chosen.node.direction = "maximize"


def installed_samplers() -> set[str]:
    """Return the samplers that the plugin brings, each as the object that Hydra makes of it."""
    nodes = [one.node for one in (_node("hydra", "sweeper", "sampler") or {}).values()]
    return {str(OmegaConf.select(node, "_target_")) for node in nodes}


def allowed(sweeper: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sweeper's settings without the sampler's object, where it is one that the plugin brings."""
    sampler = sweeper.get("sampler")
    if not isinstance(sampler, Mapping) or sampler.get("_target_") not in installed_samplers():
        return dict(sweeper)
    return {**sweeper, "sampler": {key: value for key, value in sampler.items() if key != "_target_"}}


def in_words(folder: Path) -> list[str]:
    """Return what Optuna found in a sweep, in lines; none where it was not Optuna's."""
    if not (folder / FOUND).is_file():
        return []
    told = load_yaml_file(folder / FOUND)
    solutions = told.get("solutions") or [{"params": told["best_params"], "values": [told["best_value"]]}]
    words = "The best of the search" if len(solutions) == 1 else "One of the best of the search"
    return [f"{words}: {_settings(one['params'])} ({', '.join(short(float(value)) for value in one['values'])})"
            for one in solutions]  # fmt: skip


def _settings(chosen: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in chosen.items())
