"""Which units does the network use? Clamp each one and see what gets worse."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.causal.clamping import Clamp, clamping, means
from lstm_probe.core.columns import ABLATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.core.vocabulary import MODES, VARIABLES
from lstm_probe.recorder import Recording, find_lstm, record
from lstm_probe.recorder.agreement import allowed
from lstm_probe.recorder.calling import arguments, outputs_of
from lstm_probe.recorder.leaving import undisturbed


@dataclass(frozen=True)
class _Resampling:
    """Scores of all sequences and of bootstrap samples of them, from per-sequence statistics."""

    counts: Float[Tensor, "sample sequence"]

    @classmethod
    def of(cls, n: int, samples: int, seed: int, groups: Int[np.ndarray, " sequence"] | None) -> "_Resampling":
        rng = np.random.default_rng(derive_seed(seed, "ablation bootstrap"))
        blocks = np.arange(n) if groups is None else groups
        count = int(blocks.max()) + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(float)
        return cls(torch.from_numpy(np.concatenate([np.ones((1, n)), drawn[:, blocks]])))

    def scores(self, spec: Target, statistics: Float[Tensor, "sequence statistic"]) -> Float[Tensor, " sample"]:
        """Return the score on all sequences, then on each bootstrap sample."""
        return spec.score(self.counts @ statistics)


class Clamped:
    """A model on a batch, run again and again with one unit of its LSTM clamped.

    Attributes:
        intact: the outputs of the model as it is, (sequence, time, output).
    """

    def __init__(self, model: nn.Module, batch: Batch, layer: str | None) -> None:
        self.model, self.batch = model, batch
        self.name, self.lstm = find_lstm(model, layer)
        self.intact = self._outputs()
        again = self._run(None)
        scale = float(self.intact.abs().amax())
        apart = float((again - self.intact).abs().amax())
        if not apart <= allowed(self.intact, scale):
            raise InputError(
                f"ablate: run twice without a clamp, the model's outputs differ by up to {apart:.3g} (largest output "
                f"{scale:.3g}): what a clamp changes cannot be told; it draws random numbers, keeps a state where it "
                "is not seen, or gives outputs that are not finite"
            )

    def _outputs(self) -> Tensor:
        with undisturbed(self.model):
            outputs = outputs_of(self.model, self.batch)
        batch, width = self.batch, sum(spec.size for spec in self.batch.target_specs)
        if outputs.shape == (len(batch), width) and _only_last(batch):
            return outputs.unsqueeze(1).expand(-1, batch.inputs.shape[1], -1)
        if outputs.shape != (*batch.inputs.shape[:2], width):
            raise InputError(
                f"ablate: the model's outputs have shape {tuple(outputs.shape)}; the batch's targets need (sequence, "
                f"time, {width}), or (sequence, {width}) where each counts at the last step alone"
            )
        return outputs

    def _run(self, clamp: Clamp | None) -> Tensor:
        with clamping(self.lstm, clamp) as calls:
            outputs = self._outputs()
        if not calls.made:
            raise InputError(
                f"ablate: {self.name or 'the LSTM'} did not run PyTorch's own LSTM, so it cannot be clamped"
            )
        return outputs

    def outputs(self, clamp: Clamp) -> Tensor:
        """Return the outputs with one unit clamped."""
        outputs = self._run(clamp)
        if not bool(outputs.isfinite().all()):
            what = (
                "reads the memory of its LSTM, not its h alone" if clamp.variable == "h" else "gives no finite outputs"
            )
            raise InputError(f"ablate: the model {what}: with {clamp.variable} clamped, nothing can be said")
        return outputs

    def recording(self, variable: str) -> tuple[Recording, Tensor]:
        """Return what the units do in the model as it is, and which of those steps are real."""
        rec = record(self.model, arguments(self.model, self.batch), layer=self.name, variables=(variable,))
        real, own = rec.mask, self.batch.mask
        if bool(real.all()) and real.shape[1] == own.shape[1] and len(real) % len(own) == 0:
            real = own.repeat(len(real) // len(own), 1)  # the module does not pack: the batch knows what is real
        return rec, real


def _only_last(batch: Batch) -> bool:
    """Return whether every target counts at each sequence's last step and nowhere else."""
    last = torch.arange(batch.inputs.shape[1], device=batch.lengths.device) == batch.lengths.unsqueeze(1) - 1
    return all(bool((batch.scored_steps(spec.name) == last).all()) for spec in batch.target_specs)


@torch.no_grad()
def ablate_units(
    model: nn.Module,
    batch: Batch,
    *,
    layer: str | None = None,
    variable: str = "c",
    mode: str = "mean",
    groups: Any = None,
    bootstrap: int = 1000,
    min_drop: float = 0.01,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Clamp each unit of each layer in turn and measure what it costs each target.

    The unit's variable is held at one value at every step, inside the recurrence: all other units see the
    consequences and continue from there. The model runs as it is, once for each unit: its initial states, packed
    sequences, several calls, directions and cells are its own. An unclamped run by the same way has to reproduce the
    model's outputs, else nothing is reported.

    Args:
        model: a SequenceModel, or any module that holds an LSTM and maps `batch.inputs` (and `batch.lengths`, where
            its forward takes `lengths`) to outputs of shape (sequence, time, output), or, where each target counts
            at the last step alone, (sequence, output).
        batch: sequences that the model was not trained on, with their targets.
        layer: the name of the LSTM in the model, where there are several.
        variable: what is clamped: "c" (the memory), or any other of h c i f g o.
        mode: "mean" (its mean over the batch's real steps) or "zero".
        groups: one entry for each sequence, equal ones for those that are drawn as one by the bootstrap, as they are
            not independent of each other; those of the batch where this is None.
        bootstrap: resamples of whole sequences for the 95 % interval of the drop.
        min_drop: `uses` asks for a drop of at least this share of the target's score.
        seed: of the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each unit and target, columns `ABLATION_COLUMNS`. `intact` and `clamped` are the target's
        score (not floored at 0: a clamped unit can make outputs worse than chance), `score_drop` is their difference;
        `uses` is true where its interval lies above 0 and it is at least `min_drop` of the intact score.

    Raises:
        InputError: an unknown variable or mode, or a model that cannot be ablated.
    """
    problems = [
        f"{key}={value}: must be one of {' '.join(legal)}"
        for key, value, legal in (("variable", variable, VARIABLES), ("mode", mode, MODES))
        if value not in legal
    ]
    if problems:
        raise InputError(*problems)
    together = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    runs = Clamped(model, batch, layer)
    lstm = runs.lstm
    resampling = _Resampling.of(len(batch), bootstrap, seed, together)
    statistics = batch.statistics(runs.intact)
    intact = {spec.name: resampling.scores(spec, statistics[spec.name]) for spec in batch.target_specs}
    recording, real = runs.recording(variable)
    rows = []
    for part in recording:
        values = part[variable]
        to = means(values, real) if mode == "mean" else [0.0] * values.shape[-1]
        for unit, value in enumerate(to):
            outputs = runs.outputs(Clamp(part.layer, part.direction, variable, unit, value))
            statistics = batch.statistics(outputs)
            for spec in batch.target_specs:
                scores = resampling.scores(spec, statistics[spec.name])
                drop = (intact[spec.name] - scores).numpy()
                low, high = np.quantile(drop[1:], [0.025, 0.975]) if bootstrap else (np.nan, np.nan)
                before, score_drop = float(intact[spec.name][0]), float(drop[0])
                uses = bool(low > 0 and before > 0 and score_drop >= min_drop * before)
                rows.append(
                    (run, task, lstm.hidden_size, seed, part.layer, part.direction, unit, variable, mode,
                     spec.name, spec.metric, before, float(scores[0]), score_drop, low, high, uses)
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(ABLATION_COLUMNS))
