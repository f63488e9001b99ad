"""Fewer units: what is kept of a trained network's worst score, by ways of cutting it, and by training from the start.

Every row is of the same network and the same fresh sequences. The readout is refitted alike, and trainings are alike:
Adam, the same rate and the same sequences. Torch-Pruning takes part where it is installed.
"""

import argparse
import copy
from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table
from torch import nn

from benchmarks.timing import console

SIZES = (8, 12, 16, 20, 24)
CHOOSING, CHECKING = 512, 1024  # sequences
BRIEF, RATE = 200, 0.01  # updates of a brief training, and their highest rate


def run(arguments: argparse.Namespace) -> None:
    """Train a network of each seed and print a table of what is kept."""
    for seed in range(arguments.seeds):
        compared = Compared(arguments.units, seed)
        table = Table(
            box=None,
            title_justify="left",
            title=f"tracking, {arguments.units} units, seed {seed}: least share of a score that is kept",
        )
        table.add_column("units", justify="right")
        for size in arguments.sizes:
            table.add_column(str(size), justify="right")
        for name, way in compared.ways.items():
            table.add_row(name, *(kept(compared, way, size) for size in arguments.sizes))
        console.print(table)


def kept(compared: "Compared", way: Callable[[int], nn.Module], size: int) -> str:
    """Return what a way keeps, as a cell; the error where it does not get there."""
    try:
        return f"{compared.share(way(size)):.3f}"
    except Exception as error:
        return type(error).__name__


class Compared:
    """A trained network, and the ways to make it smaller."""

    def __init__(self, units: int, seed: int) -> None:
        from lstm_probe.tasks import get_task

        self.task, self.units, self.seed = get_task("tracking"), units, seed
        self.batch = self.task.sample(CHOOSING, 1001 + seed)
        self.check = self.task.sample(CHECKING, 2002 + seed)
        self.model = self.trained(units, 3000)
        self.intact = self.scores(self.model)
        self.ways: dict[str, Callable[[int], nn.Module]] = {
            "merged, no training": self.merged,
            f"merged, {BRIEF} updates": lambda size: self.tuned(self.merged(size)),
            "torch.ao saliency, refitted": lambda size: self.refitted(self.by_saliency(size)),
            f"torch.ao saliency, refitted, {BRIEF} updates":
                lambda size: self.tuned(self.refitted(self.by_saliency(size))),
            "Torch-Pruning magnitude": self.by_torch_pruning,
            f"from the start, {BRIEF} updates": lambda size: self.tuned(self.fresh(size)),
            "from the start, trained to the end": lambda size: self.trained(size, 3000),
        }  # fmt: skip

    def fresh(self, units: int) -> Any:
        """Return a network as it begins."""
        from lstm_probe.network.model import SequenceModel

        return SequenceModel(self.task.n_inputs, self.task.n_outputs, units, seed=self.seed)

    def trained(self, units: int, steps: int) -> nn.Module:
        """Return a network that was trained as `train` does it."""
        from lstm_probe.network.training import Trainer

        model = self.fresh(units)
        Trainer(model, self.task, steps=steps, seed=self.seed).fit()
        return model.eval()

    @torch.no_grad()
    def scores(self, model: nn.Module) -> dict[str, float]:
        """Return the scores on sequences that nothing was chosen on."""
        return self.check.scores(model(self.check.inputs))

    def share(self, model: nn.Module) -> float:
        """Return the least share of a score that is kept."""
        scores = self.scores(model)
        return min(scores[name] / own for name, own in self.intact.items())

    def merged(self, size: int) -> nn.Module:
        """Return ours, without training."""
        from lstm_probe.capacity.shrink import shrink

        return shrink(self.model, self.batch, units=size, check=self.check[:64], seed=self.seed).model

    def tuned(self, model: nn.Module) -> nn.Module:
        """Return a network after a brief training, the same for all."""
        from lstm_probe.capacity.tuning import Tuner

        tuned = Tuner(self.task, self.model, BRIEF, self.seed).tune(model, BRIEF, RATE)
        assert tuned is not None
        return tuned

    @torch.no_grad()
    def refitted(self, model: Any) -> nn.Module:
        """Return a network whose readout is fitted to the outputs of the one that is whole."""
        x, mask = self.batch.inputs, self.batch.mask
        h = model.lstm(x)[0][mask].double()
        h = torch.cat([h, torch.ones(len(h), 1, dtype=h.dtype)], dim=1)
        goal = self.model(x)[mask].double()
        solved = torch.linalg.solve(h.T @ h + 1e-6 * len(h) * torch.eye(h.shape[1], dtype=h.dtype), h.T @ goal)
        model.readout.weight.copy_(solved[:-1].T)
        model.readout.bias.copy_(solved[-1])
        return model

    def by_saliency(self, size: int) -> Any:
        """Return what PyTorch's own pruner of LSTMs leaves."""
        from torch.ao.pruning._experimental.pruner import LSTMSaliencyPruner

        model = copy.deepcopy(self.model)
        pruner = LSTMSaliencyPruner({"sparsity_level": (self.units - size) / self.units + 1e-9})
        pruner.prepare(model, [{"tensor_fqn": f"lstm.weight_{kind}_l0"} for kind in ("ih", "hh")])
        pruner.enable_mask_update = True
        pruner.step()
        pruned = pruner.prune()
        assert pruned.lstm.hidden_size == size
        return pruned

    def by_torch_pruning(self, size: int) -> nn.Module:
        """Return what Torch-Pruning leaves, refitted and trained like the others."""
        import torch_pruning

        model: Any = copy.deepcopy(self.model)
        pruner = torch_pruning.pruner.MagnitudePruner(
            model, self.batch.inputs[:4], importance=torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=1 - size / self.units, ignored_layers=[model.readout],
        )  # fmt: skip
        pruner.step()
        if model.lstm.hidden_size != size or model.lstm.weight_hh_l0.shape != (4 * size, size):
            raise ValueError(f"{model.lstm.hidden_size} units are left")
        return self.tuned(self.refitted(model))


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("shrink", help=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=32, help="units of the network (default 32)")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="what it is cut down to")
    parser.add_argument("--seeds", type=int, default=1, help="networks: seeds 0, 1, ... (default 1)")
    parser.set_defaults(run=run)
