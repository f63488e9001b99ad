"""Methods of libraries that do not come with this package: captum and NeuroX. They are imported when they are used."""

import contextlib
import io
import logging
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.truth.methods.foreign import by_layer, by_output, memories, values_of
from lstm_probe.truth.methods.method import Method, answers

log = logging.getLogger(__name__)

#: Of attributions: how many sequences, and outputs at which share of their length.
SEQUENCES, AT = 32, (0.25, 0.5, 0.75, 1.0)
#: From the baseline to the network as it is.
STEPS = 16


class Held(nn.Module):
    """A network as a function of how much of each unit's memory it keeps: its outputs at a few steps.

    captum's attributions are by inputs, and the LSTM's kernel lets nobody in; so steps are taken one by one.

    Args:
        model: a SequenceModel, with a start of its own or none.
        batch: its sequences, of one length.
    """

    def __init__(self, model: nn.Module, batch: Batch) -> None:
        super().__init__()
        self.model, length = model, batch.inputs.shape[1]
        self.steps = [max(int(share * length) - 1, 0) for share in AT]
        self.means = torch.from_numpy(memories(model, batch).mean(0)).to(batch.inputs)

    @cached_property
    def weights(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
        """Of each layer, the weights of its input and of h, its biases, taken together, and its projection."""
        lstm: nn.LSTM = self.model.lstm  # type: ignore[assignment]
        own = {name: value.detach() for name, value in lstm.named_parameters()}
        return [(own[f"weight_ih_l{k}"].T, own[f"weight_hh_l{k}"].T, own[f"bias_ih_l{k}"] + own[f"bias_hh_l{k}"],
                 own[f"weight_hr_l{k}"].T if lstm.proj_size else None) for k in range(lstm.num_layers)]  # fmt: skip

    def forward(
        self, kept: Float[Tensor, "sequence unit"], inputs: Float[Tensor, "sequence time line"]
    ) -> Float[Tensor, "sequence output"]:
        """Return the outputs at the steps, all of the first one first.

        Args:
            kept: of each unit of all layers, at every step: 1 as it is, 0 at its mean over all sequences and steps.
            inputs: of the sequences.
        """
        lstm: nn.LSTM = self.model.lstm  # type: ignore[assignment]
        h, c = ([kept.new_zeros(len(kept), width)] * lstm.num_layers if start is None
                else list(start.expand(-1, len(kept), -1))
                for start, width in ((getattr(self.model, "h", None), lstm.proj_size or lstm.hidden_size),
                                     (getattr(self.model, "c", None), lstm.hidden_size)))  # fmt: skip
        keeping, means = kept.chunk(lstm.num_layers, dim=-1), self.means.chunk(lstm.num_layers)
        shown = []
        for x in inputs.unbind(1):
            for k, (from_x, from_h, bias, project) in enumerate(self.weights):
                i, f, g, o = (x @ from_x + h[k] @ from_h + bias).chunk(4, dim=-1)
                c[k] = f.sigmoid() * c[k] + i.sigmoid() * g.tanh()
                c[k] = means[k] + keeping[k] * (c[k] - means[k])
                h[k] = o.sigmoid() * c[k].tanh()
                x = h[k] = h[k] if project is None else h[k] @ project
            shown.append(x)
        outputs: Tensor = self.model.readout(torch.stack([shown[step] for step in self.steps], dim=1))  # type: ignore[operator]
        return outputs.flatten(1)


def attributions(model: nn.Module, batch: Batch, way: str) -> Float[Tensor, "output unit"]:
    """Return the mean absolute attribution of each output at a few steps, by one of captum's classes.

    Args:
        model, batch: see `Held`.
        way: the name of the class: "IntegratedGradients", "InputXGradient" or "FeatureAblation".
    """
    import captum.attr

    held, inputs = Held(model, batch), batch.inputs[:SEQUENCES]
    kept = torch.ones(len(inputs), len(held.means), dtype=inputs.dtype, requires_grad=way != "FeatureAblation")
    options = {"IntegratedGradients": {"baselines": 0.0, "n_steps": STEPS}, "FeatureAblation": {"baselines": 0.0}}
    attribution = getattr(captum.attr, way)(held)
    outputs = sum(spec.size for spec in batch.target_specs)
    found = [
        attribution.attribute(kept, target=number, additional_forward_args=(inputs,), **options.get(way, {})).detach()
        for number in range(outputs * len(AT))
    ]
    every: Tensor = torch.stack(found).abs().mean(1).unflatten(0, (len(AT), outputs))
    return every.mean(0)


def _captum(way: str) -> Method:
    def function(model: nn.Module, batch: Batch) -> pd.DataFrame:
        _need("captum")
        found = attributions(model, batch, way)
        return by_output(model, batch, lambda own: found[own].sum(0))

    return Method(function, False, f"captum's {way} by how much of a unit's memory is kept.", "captum")


def neurox(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """NeuroX's order of units by the weights of its elastic-net probe; the first one has the highest score."""
    _need("neurox")
    from neurox.interpretation import linear_probe

    c, rows = memories(model, batch), []
    x = ((c - c.mean(0)) / np.where(c.std(0) > 0, c.std(0), 1)).astype(np.float32)
    options = {"lambda_l1": 0.001, "lambda_l2": 0.001, "batch_size": 512, "learning_rate": 0.01}
    for name, (values, binary) in values_of(batch).items():
        if np.ptp(values) == 0:
            continue
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            torch.random.fork_rng([]),
        ):
            torch.manual_seed(0)
            if binary:
                probe = linear_probe.train_logistic_regression_probe(x, (values > 0).astype(int), **options)
            else:
                y = ((values - values.mean()) / values.std()).astype(np.float32)
                probe = linear_probe.train_linear_regression_probe(x, y, **options)
            classes = {str(k): k for k in range(2 if binary else 1)}
            order, _ = linear_probe.get_neuron_ordering(probe, classes)
        rows += [(int(unit), name, 1 - place / len(order)) for place, unit in enumerate(order)]
    return answers("holds", by_layer(model, pd.DataFrame(rows, columns=["unit", "name", "score"])), "name", "score")


def _need(library: str) -> None:
    """Raise an InputError unless a library is there."""
    if find_spec(library) is None:
        how = "pip install 'lstm-probe[truth]'" if library == "captum" else "pip install --no-deps neurox"
        raise InputError(f"{library} is not installed; get it with: {how}")


FURTHER = {
    "integrated gradients": _captum("IntegratedGradients"),
    "input × gradient": _captum("InputXGradient"),
    "feature ablation": _captum("FeatureAblation"),
    "NeuroX": Method(neurox, False, "NeuroX's order of units by the weights of its elastic-net probe.", "neurox"),
}


def there(methods: Mapping[str, Method]) -> dict[str, Method]:
    """Return those methods whose libraries are installed; of the others it is said that they are left out."""
    lacking = {name: one.library for name, one in methods.items() if one.library and find_spec(one.library) is None}
    for name, library in lacking.items():
        log.warning("%s: left out, as %s is not installed", name, library)
    return {name: one for name, one in methods.items() if name not in lacking}
