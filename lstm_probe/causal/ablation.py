"""Which units does the network use? Clamp each one and see what gets worse."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.causal.clamping import clamped_layer, layers_above, replaced_output
from lstm_probe.core.columns import ABLATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.core.vocabulary import MODES, VARIABLES
from lstm_probe.recorder import find_lstm, record_lstm
from lstm_probe.recorder.data import LayerRecording

COPY_FLOATS = 2**24  # numbers of h that are held at once


@dataclass(frozen=True)
class _Resampling:
    """Scores of all sequences and of bootstrap samples of them, from per-sequence statistics."""

    counts: Float[Tensor, "sample sequence"]

    @classmethod
    def of(cls, n: int, samples: int, seed: int) -> "_Resampling":
        rng = np.random.default_rng(derive_seed(seed, "ablation bootstrap"))
        counts = rng.multinomial(n, np.full(n, 1 / n), size=samples).astype(float)
        return cls(torch.from_numpy(np.concatenate([np.ones((1, n)), counts])))

    def scores(self, spec: Target, statistics: Float[Tensor, "sequence statistic"]) -> Float[Tensor, " sample"]:
        """Return the score on all sequences, then on each bootstrap sample."""
        return spec.score(self.counts @ statistics)


def lstm_inputs(model: nn.Module, batch: Batch) -> tuple[nn.LSTM, Tensor, Tensor]:
    """Run the model; return its LSTM, what went into it as (sequence, time, feature), and the model's outputs."""
    _, lstm = find_lstm(model)
    if isinstance(lstm, nn.LSTMCell) or lstm.bidirectional:
        what = "an nn.LSTMCell" if isinstance(lstm, nn.LSTMCell) else "bidirectional"
        raise InputError(f"ablate: the LSTM is {what}; units are clamped in unidirectional nn.LSTMs only")
    seen: list[Tensor] = []
    hook = lstm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        outputs = run_model(model, batch.inputs)
    finally:
        hook.remove()
    width = sum(spec.size for spec in batch.target_specs)
    if outputs.shape != (*batch.inputs.shape[:2], width):
        raise InputError(
            f"ablate: the model's outputs have shape {tuple(outputs.shape)}; "
            f"the batch's targets need (sequence, time, {width})"
        )
    return lstm, seen[0] if lstm.batch_first else seen[0].transpose(0, 1), outputs


def run_model(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return a model's outputs at every step; of an `nn.LSTM` its h."""
    outputs: Tensor | tuple[Tensor, ...] = model(inputs)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _values(part: LayerRecording, variable: str, mode: str, mask: Tensor) -> Float[Tensor, " unit"]:
    """Return what each unit is clamped to: its mean over real steps, or 0."""
    values = part[variable]
    if mode == "zero":
        return values.new_zeros(values.shape[-1])
    return values[mask].double().mean(0).to(values.dtype)


@torch.no_grad()
def ablate_units(
    model: nn.Module,
    batch: Batch,
    *,
    variable: str = "c",
    mode: str = "mean",
    bootstrap: int = 1000,
    min_drop: float = 0.01,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Clamp each unit of each layer in turn and measure what it costs each target.

    The unit's variable is held at one value at every step, inside the recurrence: all other units see the
    consequences and continue from there. All units of a layer are clamped side by side in copies of the network.

    Args:
        model: a SequenceModel, or any module that holds one unidirectional `nn.LSTM` and maps `batch.inputs` to
            outputs of shape (sequence, time, output) by way of the LSTM's h.
        batch: sequences that the model was not trained on, with their targets.
        variable: what is clamped: "c" (the memory), or any other of h c i f g o.
        mode: "mean" (its mean over the batch's real steps) or "zero".
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
    training = model.training
    model.eval()
    try:
        lstm, inputs, outputs = lstm_inputs(model, batch)
        resampling = _Resampling.of(len(batch), bootstrap, seed)
        statistics = batch.statistics(outputs)
        intact = {spec.name: resampling.scores(spec, statistics[spec.name]) for spec in batch.target_specs}
        recording = record_lstm(lstm, inputs, batch.lengths, variables=(variable,))
        rows = []
        for part in recording:
            values = _values(part, variable, mode, batch.mask)
            together = max(1, COPY_FLOATS // (inputs.shape[0] * inputs.shape[1] * max(part[variable].shape[-1], 1)))
            for units in torch.arange(len(values)).split(together):
                h = clamped_layer(lstm, part.layer, part.inputs, variable, units, values[units])
                h = layers_above(lstm, part.layer, h.flatten(0, 1))
                with replaced_output(lstm, h):
                    changed = run_model(model, batch.inputs.repeat(len(units), 1, 1))
                for unit, own in zip(units.tolist(), changed.chunk(len(units))):
                    statistics = batch.statistics(own)
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
    finally:
        model.train(training)
    return pd.DataFrame(rows, columns=list(ABLATION_COLUMNS))
