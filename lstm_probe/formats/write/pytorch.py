"""Recurrent layers and what is around them as a state dict, and a Python file with the module that it belongs to."""

import io
import re
import sys
from keyword import iskeyword
from pathlib import Path

import torch
from torch import nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import FUSED_RNNS
from lstm_probe.formats.imported import ImportedModel
from lstm_probe.formats.said import with_notes
from lstm_probe.formats.write.parts import Parts

#: How a file of ours begins: no other is replaced.
_OURS = re.compile(rb'"""An? [^\n"]* PyTorch, written by lstm_probe, which it ')
#: Modules that a file of theirs would hide from whoever runs Python in its folder, itself first of all.
_TAKEN = {*sys.stdlib_module_names, "torch", "numpy", "lstm_probe"}
#: What stands behind a readout, by Keras's names.
_FUNCTIONS = {
    "sigmoid": "torch.sigmoid(outputs)", "tanh": "torch.tanh(outputs)", "relu": "torch.relu(outputs)",
    "softplus": "nn.functional.softplus(outputs)", "softmax": "torch.softmax(outputs, dim=-1)",
    "exponential": "torch.exp(outputs)", "elu": "nn.functional.elu(outputs)", "selu": "nn.functional.selu(outputs)",
    "softsign": "nn.functional.softsign(outputs)",
}  # fmt: skip

_FILE = '''"""{title} in {plain}PyTorch, written by lstm_probe, which it {needs}.

`load()` returns the module with the weights of the state dict that was written beside it, in evaluation mode.

Inputs: {inputs}.
Outputs: (sequence, time, {outputs}), of every step.
"""

from pathlib import Path

import torch
from torch import nn{imports}{own}

WEIGHTS = Path(__file__).with_name({weights!r})


class Network(nn.Module):
    def __init__(self):
        super().__init__()
{layers}
{forward}

def load(path=WEIGHTS):
    """Return the module with the weights of a file, in evaluation mode."""
    network = Network()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()
'''

#: Layers that read every step from the first on: what stands behind the real steps changes nothing before it.
_PLAIN = """
    def forward(self, inputs):
        outputs, _ = self.lstm({x})
        return {outputs}
"""

#: Any other. Steps that are not read are left out, and h stands there as it was when a step was read last.
_ANY = '''
    def forward(self, inputs, lengths=None):
        """Return the outputs at every step; `lengths` says how many steps of each sequence are real."""
        outputs = self.read({x}, {real}, lengths)
        return {outputs}

    def read(self, x, real, lengths):
        """Return h at every step; `real` is False where a step is skipped."""
        step = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        lengths = lengths.to(x.device).unsqueeze(1)
        real = real & (step < lengths)
        count, seen = real.sum(1, keepdim=True), real.cumsum(1)
        order = (~real).int().argsort(dim=1, stable=True)  # the steps that are read, in front
{turn}        packed = pack_padded_sequence(
            pick(x, order), count.squeeze(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        h, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
{place}        return h
'''
_PICK = '''

def pick(values, index):
    """Return the values of these steps; zeros for those that there are not."""
    there = (index >= 0) & (index < values.shape[1])
    index = index.clamp(0, values.shape[1] - 1).unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index).where(there.unsqueeze(-1), torch.zeros_like(values))

'''


def needs_own(layers: nn.Module) -> bool:
    """Return whether PyTorch has no module of this cell, so that a file needs lstm_probe's."""
    return isinstance(layers, GatedRNN) and layers.cell.name not in ("lstm", "gru", *FUSED_RNNS)


def beside(path: Path) -> Path:
    """Return where the module of a state dict is written: a name that Python can import, and has no module of its own.

    >>> beside(Path("out/u32-s0-1a2b3c4d.pt")).name, beside(Path("2.pt")).name, beside(Path("torch.pt")).name
    ('u32_s0_1a2b3c4d.py', '_2.py', '_torch.py')
    """
    name = re.sub(r"\W|^(?=\d)", "_", path.stem, flags=re.ASCII)
    return path.with_name("_" * (iskeyword(name) or name in _TAKEN) + name + ".py")


def pytorch_files(parts: Parts, path: Path) -> dict[Path, bytes]:
    """Return the state dict and the module by their paths; raises an InputError where a file not of ours would go."""
    module = beside(path)
    if module.exists() and not (module.is_file() and _OURS.match(module.read_bytes())):
        raise InputError(f"path={path}: {module} would be written beside it, and is there already and not of an "
                         "export; choose another name")  # fmt: skip
    named = {"embedding": parts.embedding, "lstm": parts.lstm, "readout": parts.readout}
    weights = {
        f"{name}.{key}": tensor.detach().cpu().clone()
        for name, part in named.items() if part is not None for key, tensor in part.state_dict().items()
    }  # fmt: skip
    whole = ImportedModel(
        parts.lstm, parts.readout, parts.embedding, parts.activation, last_step=parts.last_step, skips=parts.skips,
        turned=parts.turned,
    )  # fmt: skip
    content = io.BytesIO()
    torch.save(with_notes(weights, whole), content)
    return {path: content.getvalue(), module: module_text(parts, path.name).encode()}


def module_text(parts: Parts, weights: str) -> str:
    """Return a Python file with the module of these parts, and a function that loads a file of weights into it."""
    named = {"embedding": parts.embedding, "lstm": parts.lstm, "readout": parts.readout}
    layers = [f"        self.{name} = {_made(part)}" for name, part in named.items() if part is not None]
    embedding, readout = parts.embedding, parts.readout
    outputs = "outputs" if readout is None else "self.readout(outputs)"
    if parts.activation is not None:
        outputs = _FUNCTIONS[parts.activation].replace("outputs", outputs)
    x = "inputs" if embedding is None else "self.embedding(inputs)"
    inputs = f"(sequence, time, {parts.lstm.input_size}), {str(parts.dtype).removeprefix('torch.')}"
    if embedding is not None:
        inputs = f"(sequence, time), whole numbers from 0 to {embedding.num_embeddings - 1}"
    cell, own = cell_of(parts.lstm), needs_own(parts.lstm)
    plain = not (parts.lstm.bidirectional or parts.backward or parts.skips or parts.turned)
    forward = _PLAIN.format(x=x, outputs=outputs) if plain else _any(parts, x, outputs) + _PICK
    return _FILE.format(
        title=cell.a_title[:1].upper() + cell.a_title[1:], plain="" if own else "plain ",
        needs="needs for that" if own else "does not need",
        own="\n\nfrom lstm_probe.cells import GatedRNN" if own else "",
        weights=weights, inputs=inputs, layers="\n".join(layers), forward=forward,
        outputs=parts.width if readout is None else readout.out_features,
        imports="" if plain else "\nfrom torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence",
    )  # fmt: skip


def _made(part: nn.Module) -> str:
    """Return the expression that makes a layer of the same shape."""
    if isinstance(part, nn.RNNBase | GatedRNN):
        words = [f"{part.input_size}, {part.hidden_size}, num_layers={part.num_layers}, batch_first=True"]
        told = {"bias": True, "dropout": 0.0, "bidirectional": False, "proj_size": 0}  # where it is not PyTorch's own
        words += [f"{key}={value}" for key, usual in told.items() if (value := getattr(part, key)) != usual]
        name = "GatedRNN" if needs_own(part) else f"nn.{part.cell.name.split('+')[0].upper()}" if (
            isinstance(part, GatedRNN)) else f"nn.{part.mode.split('_')[0]}"  # fmt: skip
        words += [f'cell="{cell_of(part).name}"'] if needs_own(part) else []
        words += ['nonlinearity="relu"'] if cell_of(part).name == "rnn+input:relu" and name == "nn.RNN" else []
        dtype = part.get_parameter("weight_ih_l0").dtype
    else:
        assert isinstance(part, nn.Linear | nn.Embedding)
        name, dtype = f"nn.{type(part).__name__}", part.weight.dtype
        if isinstance(part, nn.Linear):
            words = [f"{part.in_features}, {part.out_features}"] + ["bias=False"] * (part.bias is None)
        else:
            words = [f"{part.num_embeddings}, {part.embedding_dim}"]
    cast = ""
    if dtype != torch.float32:
        words += [f"dtype={dtype}"] * (name != "GatedRNN")
        cast = f".to({dtype})" * (name == "GatedRNN")
    return f"{name}({', '.join(words)}){cast}"


def _any(parts: Parts, x: str, outputs: str) -> str:
    real = "torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)"
    if parts.skips is not None:
        real = f"inputs != {parts.skips.value!r}" if parts.embedding else f"(inputs != {parts.skips.value!r}).any(-1)"
    # The number of what was read last at a step, in the order of reading; below 0 or beyond where nothing was yet.
    before, after, back = "seen - 1", "seen - real.long()", "count - 1 - (seen - real.long())"
    zeros = " * real.unsqueeze(-1)" if parts.skips is not None and parts.skips.zeros else ""
    place = [f"h = pick(h, {back if parts.backward else before}){zeros}"]
    if parts.lstm.bidirectional:
        # What has read no step yet shows zeros, as what is beyond the last one does.
        place = ["forward, reverse = h.chunk(2, -1)", f"index = {after}",
                 "reverse = pick(reverse, index.masked_fill(index >= count, -1))"]  # fmt: skip
        place += ["reverse = reverse[:, :1].expand_as(reverse)"] if parts.reverse_end else []
        place += [f"h = torch.cat([pick(forward, {before}), reverse], dim=-1){zeros}"]
    if parts.turned:
        place += ["h = pick(h, torch.where(step < lengths, lengths - 1 - step, step))"]
    turn = ["order = torch.where(step < count, order.gather(1, (count - 1 - step).clamp(min=0)), order)"]
    lines = {"turn": turn if parts.backward else [], "place": place}
    return _ANY.format(
        x=x, real=real, outputs=outputs,
        **{key: "".join(f"        {line}\n" for line in own) for key, own in lines.items()},
    )  # fmt: skip
