"""What is measured on a trained network: by `train` once, by `probe` and `ablate` again."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.causal import ablate_units
from lstm_probe.core.console import only_errors
from lstm_probe.core.order import shown_variable
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.probing import Split, probe_populations, probe_units
from lstm_probe.probing.analyses.coding import signal_codes
from lstm_probe.probing.analyses.confounds import partial_effects
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.analyses.memory import memory_curves
from lstm_probe.probing.analyses.tuning import tuning_curves
from lstm_probe.recorder import record
from lstm_probe.runs.settings import AblateSettings, ProbeSettings
from lstm_probe.tasks.base import Task

EXAMPLES = 8
#: Untrained networks at each of many lags, where the highest of them decides nothing.
MEMORY_UNTRAINED = 2


def measure_probes(
    model: nn.Module, task: Task, settings: ProbeSettings, seed: int, run: str
) -> dict[str, pd.DataFrame]:
    """Record the network on sequences of its task and probe it; return the tables by the names of their files.

    What each unit and signal is looked at for besides (memory, confounds, codes, tuning) is of the memory c, or of
    the first variable that is probed.
    """
    batch = task.sample(settings.sequences, derive_seed(seed, "probe data"))
    rec = record(model, batch.inputs, lengths=batch.lengths, variables=settings.variables)
    split = Split.make(len(batch), settings.folds, seed)
    fit: dict[str, Any] = {
        "split": split, "lags": settings.lags, "bootstrap": settings.bootstrap, "untrained": settings.untrained,
        "seed": seed, "run": run, "task": task.name,
    }  # fmt: skip
    decide: dict[str, Any] = {
        "alpha": settings.alpha, "margin": settings.margin, "min_effect": settings.min_effect,
    }  # fmt: skip
    probes = probe_units(
        rec, batch.signals, permutations=settings.permutations, null=settings.null, window=settings.window,
        **decide, **fit,
    )  # fmt: skip
    own = rec.select([shown_variable(probes)])
    about: dict[str, Any] = {"seed": seed, "run": run, "task": task.name}
    at_once: dict[str, Any] = {"split": split, "lags": settings.lags[:1], **about}
    few = min(settings.untrained, MEMORY_UNTRAINED)
    with only_errors("lstm_probe.probing.data.study"):  # which signals are constant has just been said
        curved = curved_units(
            rec, batch.signals, probes=probes, split=split, permutations=settings.permutations,
            untrained=settings.untrained, seed=seed, null=settings.null, **decide,
        )  # fmt: skip
        return {
            "probes": curved,
            "populations": probe_populations(rec, batch.signals, estimator=settings.estimator, **fit),
            "memory": memory_curves(own, batch.signals, split=split, variables=None, untrained=few, **about),
            "confounds": partial_effects(own, batch.signals, variables=None, **at_once),
            "codes": signal_codes(
                own, batch.signals, rotations=settings.rotations, alpha=settings.alpha,
                min_effect=settings.min_effect, **at_once,
            ),
            "tuning": tuning_curves(own, batch.signals, lags=settings.lags[:1], **about),
        }


def measure_ablations(
    model: nn.Module, task: Task, settings: AblateSettings, seed: int, run: str
) -> pd.DataFrame:
    """Clamp every unit on sequences of the network's task; return the table."""
    keywords = asdict(settings)
    batch = task.sample(keywords.pop("sequences"), derive_seed(seed, "ablation data"))
    return ablate_units(model, batch, seed=seed, run=run, task=task.name, **keywords)


@torch.no_grad()
def record_examples(model: nn.Module, task: Task, seed: int) -> dict[str, Tensor]:
    """Return a few sequences with all that happens in the network, for the report's pictures."""
    batch = task.sample(EXAMPLES, derive_seed(seed, "examples"))
    rec = record(model, batch.inputs, lengths=batch.lengths)
    tensors = {"inputs": batch.inputs, "lengths": batch.lengths, "outputs": model(batch.inputs)}
    tensors |= {f"target.{name}": values for name, values in batch.targets.items()}
    tensors |= {f"signal.{name}": signal.values for name, signal in batch.signals.items()}
    for (layer, direction), part in rec.parts.items():
        tensors |= {f"layer{layer}.{direction}.{v}": part[v] for v in VARIABLES}
    # Copies: safetensors refuses tensors that share memory, as a target and its signal may.
    return {name: values.clone(memory_format=torch.contiguous_format) for name, values in tensors.items()}
