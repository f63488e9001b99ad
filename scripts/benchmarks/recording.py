"""What recording costs beside the bare nn.LSTM, and beside the bare modules of other cells."""

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from rich.table import Table
from torch import nn

from benchmarks.timing import console, median_seconds

SHAPES = [
    (256, 100, 8, 16), (256, 100, 8, 32), (256, 100, 8, 128), (256, 200, 32, 128),
    (64, 100, 8, 512), (64, 1000, 8, 32), (1024, 50, 8, 64), (1, 5000, 32, 128),
]  # fmt: skip


@torch.no_grad()
def bare(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return h, as the module gives it."""
    return module(x)[0]


@torch.no_grad()
def step_loop(lstm: nn.LSTM, x: torch.Tensor) -> list[torch.Tensor]:
    """Record all six variables as people do by hand: the formulas, step by step."""
    h = c = x.new_zeros(x.shape[0], lstm.hidden_size)
    steps = []
    for t in range(x.shape[1]):
        pre = x[:, t] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = pre.chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        steps.append((h, c, i, f, g, o))
    return [torch.stack(values, dim=1) for values in zip(*steps)]


@torch.no_grad()
def cell_loop(cell: nn.LSTMCell, x: torch.Tensor) -> list[torch.Tensor]:
    """Record h and c, no gates, with an `nn.LSTMCell`."""
    state = None
    steps = []
    for t in range(x.shape[1]):
        state = cell(x[:, t], state)
        steps.append(state)
    return [torch.stack(values, dim=1) for values in zip(*steps)]


def run(arguments: argparse.Namespace) -> None:
    """Time recording beside the bare forward pass that returns h only.

    captum's LayerActivation is no column here: it fails on an `nn.LSTM` ('tuple' object has no attribute 'clone').
    """
    from lstm_probe.recorder import record

    table = Table(box=None, title="times the bare nn.LSTM forward pass (h only), median", title_justify="left")
    for name in ("n, time, inputs, units", "bare ms", "all six", "c alone", "step loop", "cell loop", "MB"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    ratios = []
    for n, steps, inputs, units in SHAPES:
        torch.manual_seed(0)
        lstm = nn.LSTM(inputs, units, batch_first=True, device=arguments.device)
        cell = nn.LSTMCell(inputs, units, device=arguments.device)
        x = torch.randn(n, steps, inputs, device=arguments.device)

        functions: list[Callable[[], object]] = [
            partial(bare, lstm, x), partial(record, lstm, x), partial(record, lstm, x, variables=("c",)),
            partial(step_loop, lstm, x), partial(cell_loop, cell, x),
        ]  # fmt: skip
        base, *others = median_seconds(functions, arguments.repeats)
        ratios.append(others[0] / base)
        size = 6 * n * steps * units * 4 / 2**20
        table.add_row(f"{n}, {steps}, {inputs}, {units}", f"{base * 1000:.1f}", *(f"{s / base:.2f}" for s in others),
                      f"{size:.0f}")  # fmt: skip
    console.print(table)
    console.print(f"all six variables: median {statistics.median(ratios):.2f}, highest {max(ratios):.2f}")


def by_nnsight(lstm: nn.LSTM, x: torch.Tensor) -> Callable[[], object]:
    """Return how nnsight records h: it stops at each line of PyTorch's own, of which the kernel is one."""
    from nnsight import NNsight

    traced = NNsight(nn.Sequential(lstm))

    def traced_h() -> object:
        with traced.trace(x):
            h = traced[0].output[0].save()
        return h  # noqa: RET504  nnsight runs the block by itself

    return traced_h


def by_torchlens(lstm: nn.LSTM, x: torch.Tensor) -> Callable[[], object]:
    """Return how TorchLens records h: it logs the kernel's call, which gives h of every step, and the last c."""
    import torchlens

    return partial(torchlens.trace, lstm, x)


#: What else records h, where it is installed. TorchLens wraps all of PyTorch's functions for good: it comes last.
LIBRARIES = {"nnsight": by_nnsight, "torchlens": by_torchlens}


@torch.no_grad()
def run_libraries(arguments: argparse.Namespace) -> None:
    """Time libraries that record h, and neither c nor gates, beside the bare forward pass, if any is installed."""
    for name, library in LIBRARIES.items():
        if find_spec(name) is None:
            continue
        table = Table(box=None, title=f"h alone, by {name}: times the bare nn.LSTM, median", title_justify="left")
        for head in ("n, time, inputs, units", "bare ms", "h"):
            table.add_column(head, justify="right", no_wrap=True)
        for n, steps, inputs, units in SHAPES:
            torch.manual_seed(0)
            lstm = nn.LSTM(inputs, units, batch_first=True, device=arguments.device)
            x = torch.randn(n, steps, inputs, device=arguments.device)
            base, taken = median_seconds([partial(bare, lstm, x), library(lstm, x)], arguments.repeats)
            table.add_row(f"{n}, {steps}, {inputs}, {units}", f"{base * 1000:.1f}", f"{taken / base:.2f}")
        console.print(table)


def run_cells(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """Time recording all variables of other cells beside the forward pass of their own modules (h only).

    GRU and RNN have a fused kernel of PyTorch's; the others are run step by step as they are, and while they are
    recorded once more.
    """
    from lstm_probe.cells import get_cell
    from lstm_probe.recorder import record
    from lstm_probe.recorder.config import make_layers

    table = Table(box=None, title="times the bare module's forward pass (h only), median", title_justify="left")
    for name in ("cell", "n, time, inputs, units", "bare ms", "all"):
        table.add_column(name, justify="left" if name == "cell" else "right", no_wrap=True)
    for name in names:
        ratios = []
        for n, steps, inputs, units in SHAPES:
            torch.manual_seed(0)
            module = make_layers(get_cell(name), inputs, units).to(arguments.device)
            x = torch.randn(n, steps, inputs, device=arguments.device)
            base, recorded = median_seconds([partial(bare, module, x), partial(record, module, x)], arguments.repeats)
            ratios.append(recorded / base)
            table.add_row(name, f"{n}, {steps}, {inputs}, {units}", f"{base * 1000:.1f}", f"{ratios[-1]:.2f}")
        table.add_row(name, "median, highest", "", f"{statistics.median(ratios):.2f}, {max(ratios):.2f}")
    console.print(table)


def add(commands: Any) -> None:
    """Add the command `recording`."""
    parser = commands.add_parser("recording", help="recording beside the bare nn.LSTM, or other cells' modules")
    parser.add_argument("cells", nargs="?", metavar="cells=all",
                        help="cells=all, or cells=gru,janet: other cells beside their own modules")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from lstm_probe.cells.known import NAMES

    if arguments.cells is None:
        run(arguments)
        run_libraries(arguments)
        return
    told = arguments.cells.removeprefix("cells=")
    run_cells(arguments, NAMES if told == "all" else told.split(","))
