"""Linear layers that read h, fitted anew to give what they gave before: least squares, no training and no targets."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.capacity.readers import given_to, hooked
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import calling, outputs_of
from lstm_probe.recorder.leaving import undisturbed

#: Added to the variances when readers are fitted, as a share of their mean.
REFIT_RIDGE = 1e-6


@torch.no_grad()
def readers_gave(model: nn.Module, names: Sequence[str], batch: Batch) -> dict[str, Tensor]:
    """Return what those that are linear layers make of a batch, by name."""
    names = [name for name in names if isinstance(model.get_submodule(name), nn.Linear)]
    return {name: y for name, (_, y) in _through(model, batch, names).items()} if names else {}


@torch.no_grad()
def refit_readers(small: nn.Module, targets: Mapping[str, Tensor], batch: Batch, *, batch_first: bool) -> None:
    """Fit linear layers of a smaller copy to the outputs that they have in the module, at real steps; in place.

    Args:
        small: a copy of the module with fewer units.
        targets: what `readers_gave` says of the module itself; other layers stay as they are.
        batch: the same sequences.
        batch_first: whether what they read is by sequence and step; else by step and sequence.
    """
    if not targets:
        return
    now = _through(small, batch, list(targets))
    real = batch.mask if batch_first else batch.mask.T
    for name, y in targets.items():
        linear = small.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        x, _ = now[name]
        if x.shape[:-1] == real.shape:
            x, y = x[real], y[real]
        _solve(linear, x.flatten(0, -2).double(), y.flatten(0, -2).double())


def _through(model: nn.Module, batch: Batch, names: list[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what went into and came out of parts of a module, of all calls one after the other."""
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], result: Tensor) -> None:
            given = given_to(args)
            assert given is not None
            calls[name].append((given, result))

        return hook

    calling(model, batch)  # before there are hooks
    with hooked([model.get_submodule(name).register_forward_hook(keep(name)) for name in names]), undisturbed(model):
        outputs_of(model, batch)
    return {name: (_joined([x for x, _ in own]), _joined([y for _, y in own])) for name, own in calls.items()}


def _joined(calls: list[Tensor]) -> Tensor:
    return calls[0] if len(calls) == 1 else torch.cat([call.flatten(0, -2) for call in calls])


def _solve(linear: nn.Linear, x: Float[Tensor, "row column"], y: Float[Tensor, "row output"]) -> None:
    """Fit a linear layer to what it is to give."""
    biased = linear.bias is not None
    middle, goal = (x.mean(0), y.mean(0)) if biased else (torch.zeros_like(x[0]), torch.zeros_like(y[0]))
    x, y = x - middle, y - goal
    products = x.T @ x
    ridge = REFIT_RIDGE * products.diagonal().mean().clamp(min=1e-30)
    # What is known already is what the ridge draws towards.
    weight = linear.weight.detach().double()
    left = y - x @ weight.T
    weight = weight + torch.linalg.solve(products + ridge * torch.eye(len(products)).to(products), x.T @ left).T
    linear.weight.data.copy_(weight.to(linear.weight))
    if biased:
        linear.bias.data.copy_((goal - weight @ middle).to(linear.bias))
