"""PyTorch state dicts and safetensors: recurrent layers and cells by the names of their weights, and what is around."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRU, RNN
from lstm_probe.cells.known import cell_of, get_cell
from lstm_probe.cells.lstm import LAYER_NORM, LSTM
from lstm_probe.cells.module import Layers
from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import many
from lstm_probe.formats.bare import Layer, named, unproven
from lstm_probe.formats.build import PLAIN, Arrays, build_embedding, build_layers, build_linear, dtype_of
from lstm_probe.formats.choosing import and_words, choose_first
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.torch_files import Contents, plain_name, read
from lstm_probe.formats.read.torch_made import Made, made
from lstm_probe.formats.said import Said, heard

#: What a layer is by how many blocks of rows its weight_hh has, in units; other cells may have as many.
_KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}
_CELLS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
#: Cells of four blocks by the weights that they have beside them.
_BESIDE = {frozenset(cell.extra): cell for cell in (LSTM, get_cell("lstm+peepholes"), LAYER_NORM)}
_ASSUMED = {
    "RNN": "one block of rows: an RNN, of tanh, as the weights do not say; cell=rnn_relu for another activation",
    "GRU": "three blocks of rows: a GRU as PyTorch's; cell=NAME for another cell of three",
}
_FIRST = re.compile(r"((?:^|.*\.))weight_ih(_l0)?$")
_OWN = re.compile("(weight|bias)_(ih|hh|hr)")
_LAYERED = re.compile(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?")


@dataclass(frozen=True)
class _Place:
    """Where a recurrent layer is: its state dict, made; what its names begin with; whether it is one step's cell."""

    state: Made
    prefix: str
    one: bool

    @property
    def name(self) -> str:
        """Return what the layer is called."""
        return self.prefix.rstrip(".") or _KINDS.get(self.blocks, "rnn").lower()

    @property
    def end(self) -> str:
        """Return how the names of the lowest layer's weights end."""
        return "" if self.one else "_l0"

    @property
    def blocks(self) -> int:
        """Return how many blocks of rows it has; 0 where its weights do not tell."""
        names = (f"{self.prefix}weight_{k}{self.end}" for k in ("hh", "hr"))
        w_hh, w_hr = (self.state.tensors.get(name) for name in names)
        if w_hr is not None:
            return 4
        units = 0 if w_hh is None or w_hh.dim() != 2 else w_hh.shape[1]
        return 0 if w_hh is None or not units or w_hh.shape[0] % units else w_hh.shape[0] // units

    @property
    def extra(self) -> frozenset[str]:
        """Return which of the weights that some cells have beside the usual ones there are."""
        known = frozenset[str]().union(*_BESIDE)
        return frozenset(name for name in known if f"{self.prefix}{name}{self.end}" in self.state.tensors)


def load(path: Path, kind: str, layer: str | None, readout: str | None = None, cell: str | None = None) -> Imported:
    """Read the recurrent layers of a state dict; `kind` is "torch" or "safetensors"."""
    what = "safetensors file" if kind == "safetensors" else "PyTorch state dict"
    return of_states(path, read(path, kind), what, layer, readout, cell)


def of_states(
    path: Path, contents: Contents, what: str, layer: str | None, readout: str | None, cell: str | None = None
) -> Imported:
    """Return the layers of state dicts; `what` says what kind of file they are from, `cell` what they are."""
    places = _places(contents)
    said = {place.name: _said(path, contents, place) for place in places}
    cells = {place.name: _told(path, place, said[place.name], cell) for place in places}
    kinds = {place.name: _kind(path, place) for place in places}
    known = {place.name: kind for place in places if (kind := _fitting(place, cells[place.name])) is not None}
    if not known:
        others = [f"{name} {kind}" for name, kind in kinds.items()]
        if not others and contents.unread:
            raise InputError(f"path={path}: {contents.objects()}")
        words = and_words(others) if others else f"it has {', '.join(list(contents.all())[:4]) or 'none'}"
        if others and (told := cells[places[0].name]) is not None:
            raise InputError(f"cell={told.name}: has {many(len(told.blocks), 'block')} of rows; of {path}, {words}")
        raise InputError(f"path={path}: holds no recurrent layer's weights (weight_ih_l0 ...): {words}")
    name, more = choose_first(path, known, None if layer is None else plain_name(layer))
    place = next(each for each in places if each.name == name)
    own, assumed = _cell(path, place) if (told := cells[name]) is None else (told, ())
    if more_there := place.extra - frozenset(own.extra):
        raise InputError(f"cell={own.name}: has no {and_words(sorted(more_there))}, which {name} in {path} has")
    lstm = build_layers(f"path={path}: {name}", _cells(path, place, own), cell=own, backward=said[name].backward)
    notes = [
        *more,
        *assumed,
        *_words_on(said[name], own, cell is None),
        "two biases, as in the file" if lstm.bias else "no biases",
    ]
    notes += [f"{key}: {words}" for key, words in place.state.notes.items() if key.startswith(place.prefix)]
    linear, words = _readout(path, contents, place, lstm, readout)
    embedding, more = _embedding(path, place, lstm)
    return Imported(
        lstm, f"{what}, layer {name}", name, linear, None if linear is None else said[name].activation, embedding,
        said[name].last_step, notes=(*notes, words, *more), skips=said[name].skips, turned=said[name].turned,
    )  # fmt: skip


def _said(path: Path, contents: Contents, place: _Place) -> Said:
    """Return what a file says of a layer, and of the network that it is in."""
    module = place.prefix.rstrip(".")
    above = [] if not module else [contents.said.get(module.rpartition(".")[0])]
    return heard(path, contents.said.get(module), *above)


def _told(path: Path, place: _Place, said: Said, cell: str | None) -> Cell | None:
    """Return the cell that the user or the file names, None where neither does; what a file names is not imported."""
    own = None if cell is None else get_cell(cell)
    if said.cell is None:
        return own
    if own is not None and own.name != said.cell:
        raise InputError(f"cell={cell}: {place.name} in {path} is said to be {said.cell}, there")
    return get_cell(said.cell, trusted=False) if own is None else own


def _fitting(place: _Place, cell: Cell | None) -> str | None:
    """Return in a word what a layer is, or the title of the cell that is said, where it has as many blocks of rows."""
    if cell is None:
        return _KINDS.get(place.blocks)
    return cell.title if place.blocks == len(cell.blocks) else None


def _words_on(said: Said, cell: Cell, cell_unsaid: bool) -> list[str]:
    """Return words on what a file says."""
    words = [cell.title] * (said.cell is not None and cell_unsaid) + ["read from the end"] * said.backward
    words += [f"steps of {said.skips.value:g} skipped"] if said.skips is not None else []
    words += ["its readout is for the last step alone"] * said.last_step
    words += [f"outputs are what goes into {said.activation}"] * (said.activation is not None)
    return [f"as the file says: {', '.join(words)}"] if words else []


def _places(contents: Contents) -> list[_Place]:
    places = []
    for tensors in contents.states.values():
        state = made(tensors)
        found = [match for name in {**state.tensors, **state.refused} if (match := _FIRST.match(name))]
        places += [_Place(state, match[1], one=match[2] is None) for match in found]
    return places


def _array(name: str, tensor: Tensor) -> np.ndarray:
    if tensor.is_meta:
        raise InputError(f"{name} is on the meta device, which keeps shapes alone: it has no values")
    if tensor.is_quantized:
        raise InputError(f"{name} is quantised ({str(tensor.dtype).removeprefix('torch.')}): not read")
    sparse = tensor.layout != torch.strided  # in coordinates or in compressed rows
    if sparse or tensor.element_size() < 4:  # else it is not copied
        spend(tensor.numel() * 4, f"a tensor of shape {tuple(tensor.shape)}")
    tensor = tensor.detach().to_dense() if sparse else tensor.detach()
    return (tensor if tensor.dtype == torch.float64 or not tensor.is_floating_point() else tensor.float()).numpy()


def _kind(path: Path, place: _Place) -> str:
    """Return in words what a layer is by its weights."""
    ih, hh = (f"{place.prefix}weight_{k}{place.end}" for k in ("ih", "hh"))
    for name in (ih, hh):
        if name in place.state.refused:
            raise InputError(f"path={path}: {name} {place.state.refused[name]}")
    tensors = place.state.tensors
    w_ih, w_hh = tensors[ih], tensors.get(hh)
    if w_hh is None or w_hh.dim() != 2 or w_ih.dim() != 2 or w_ih.shape[0] != w_hh.shape[0]:
        raise InputError(f"path={path}: {ih} and {hh} do not belong together")
    blocks, beside = place.blocks, and_words([f"{each}{place.end}" for each in sorted(place.extra)] or [""])
    if not blocks:
        return "is a recurrent layer of unknown kind"
    return f"has {many(blocks, 'block')} of rows{f' beside {beside}' if beside else ''}; say which cell with cell=NAME"


def _cell(path: Path, place: _Place) -> tuple[Cell, tuple[str, ...]]:
    """Return the cell that weights are of, and what was assumed of it."""
    kind = _KINDS[place.blocks]
    if place.extra:
        if kind != "LSTM" or place.extra not in _BESIDE:
            raise InputError(f"path={path}: {place.name} {_kind(path, place)}")
        cell = _BESIDE[place.extra]
        return cell, (f"{cell.title}: by its {and_words([f'{each}{place.end}' for each in sorted(place.extra)])}",)
    return _CELLS[kind], (_ASSUMED[kind],) if kind in _ASSUMED else ()


def _cells(path: Path, place: _Place, cell: Cell) -> list[list[Arrays]]:
    """Return the weights of every layer; the names of an `nn.RNNCellBase` have no layer number."""
    tensors, prefix, one = place.state.tensors, place.prefix, place.one
    layers: list[list[Arrays]] = []
    while one or f"{prefix}weight_ih_l{len(layers)}" in tensors:
        end = "" if one else f"_l{len(layers)}"
        cells = []
        for suffix in ("", "_reverse"):
            names = {field: f"{prefix}{field}{end}{suffix}" for field in (*PLAIN, *cell.extra)}
            if suffix and names["weight_ih"] not in tensors:
                break
            odd = [f"path={path}: {n} {place.state.refused[n]}" for n in names.values() if n in place.state.refused]
            if odd:
                raise InputError(*odd)
            own = {
                field: _array(f"path={path}: {name}", tensors[name]) for field, name in names.items() if name in tensors
            }
            if "weight_hh" not in own or ("bias_ih" in own) != ("bias_hh" in own):
                raise InputError(f"path={path}: {names['weight_ih']} lacks some of the weights that go with it")
            more = {field: array for field, array in own.items() if field not in PLAIN}
            cells.append(Arrays(**{field: own[field] for field in PLAIN if field in own}, more=more))
        layers.append(cells)
        if one:
            break
    _check_whole(path, place, len(layers), len(layers[0]))
    return layers


def _check_whole(path: Path, place: _Place, layers: int, directions: int) -> None:
    """Raise an InputError where there are weights of a layer or a direction whose others are missing."""
    known = {f"_l{k}{suffix}" for k in range(layers) for suffix in ("", "_reverse")[:directions]}
    beyond = [
        name for name in (each.removeprefix(place.prefix) for each in place.state.tensors)
        if not place.one and _LAYERED.fullmatch(name) and f"_{name.split('_', 2)[2]}" not in known
    ]  # fmt: skip
    if beyond:
        raise InputError(
            f"path={path}: {place.name}: is incomplete: has {beyond[0]}, but not all weights of that layer and "
            "those below it"
        )


def _layers(tensors: Mapping[str, Tensor]) -> list[Layer]:
    """Return the layers of a state dict by their own tensors; one with more than a weight and a bias is not linear."""
    leaves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        leaves.setdefault(module, {})[leaf] = tensor
    layers = []
    for module, own in leaves.items():
        weight, bias = own.get("weight"), own.get("bias")
        shape = None
        if weight is not None and weight.dim() == 2 and set(own) <= {"weight", "bias"}:
            fits = bias is None or bias.shape == weight.shape[:1]
            shape = (weight.shape[0], weight.shape[1]) if fits else None
        layers.append(Layer(module, shape, bias is not None))
    return layers


def _readout(
    path: Path, contents: Contents, place: _Place, lstm: Layers, wanted: str | None
) -> tuple[nn.Linear | None, str]:
    """Return the linear layer that reads h, None where none can be told, and words on the choice."""
    width = (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
    tensors = place.state.tensors
    if wanted is not None:
        states = [made(each).tensors for each in contents.states.values()]
        tensors = {name: tensor for state in states for name, tensor in state.items()}
        name, words = named(_layers(tensors), width, plain_name(wanted))
    else:
        found, words = _unproven(tensors, place, lstm, width, contents.ordered)
        if found is None:
            return None, words
        name = found
    where, bias = f"path={path}: {name}", tensors.get(f"{name}.bias")
    weight = _array(f"{where}.weight", tensors[f"{name}.weight"])
    return build_linear(where, weight, None if bias is None else _array(where, bias), dtype_of(lstm)), words


def _unproven(
    tensors: Mapping[str, Tensor], place: _Place, lstm: Layers, width: int, ordered: bool
) -> tuple[str | None, str]:
    """Return the name of what can hardly be anything but the readout, and words on the choice."""
    module = place.prefix.rstrip(".")
    above = {module[:k] for k, letter in enumerate(module) if letter == "."} | ({""} if module else set())
    itself = Layer(place.name, kind=_word(lstm))
    layers = [itself if each.name == module else each for each in _layers(tensors) if each.name not in above]
    name, words = unproven(layers, itself, width, lstm.input_size, ordered)
    loose = [n for n, tensor in tensors.items() if n.rpartition(".")[0] in {*above, module} and tensor.numel() > 1]
    own = tuple(f"{place.prefix}{each}" for each in cell_of(lstm).extra)
    loose = [n for n in loose if not _OWN.match(n.rpartition(".")[2]) and not n.startswith(own)]
    if name is not None and loose:
        return None, f"no readout taken: {loose[0]} is of no layer and may stand on its way; say it with readout={name}"
    return name, words


def _word(layers: Layers) -> str:
    """Return what they are called without their options: "GRU"."""
    return cell_of(layers).title.partition(" (")[0]


def _embedding(path: Path, place: _Place, lstm: Layers) -> tuple[nn.Embedding | None, tuple[str, ...]]:
    tensors = place.state.tensors
    names = [n for n in tensors if "emb" in n.lower() and n.endswith(".weight") and tensors[n].dim() == 2]
    names = [n for n in names if tensors[n].shape[1] == lstm.input_size]
    if len(names) != 1:
        return None, ()
    name = names[0].removesuffix(".weight")
    table = build_embedding(f"path={path}: {name}", _array(f"path={path}: {name}", tensors[names[0]]), dtype_of(lstm))
    return table, (f"embedding {name}: the one table as wide as the {_word(lstm)}'s inputs",)
