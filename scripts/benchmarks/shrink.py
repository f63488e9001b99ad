"""Fewer units: what is kept of a trained network's worst score, by ways of cutting it, and by training from the start.

Before that, of networks with random weights in which half of the units are known to do nothing of their own (nobody
reads them, they are copies, or they hear no input): how far outputs are off when these are cut.

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


#: Networks with units that can be cut exactly, by the arguments of their LSTM; how many units are left of how many.
PLANTED = {
    "one layer": {}, "two layers": {"num_layers": 2}, "both directions": {"bidirectional": True},
    "projection": {"proj_size": 4}, "all of it": {"num_layers": 2, "bidirectional": True, "proj_size": 4},
}  # fmt: skip
LEFT, OF = 6, 12


def run(arguments: argparse.Namespace) -> None:
    """Print what is off in planted networks; train a network of each seed and print a table of what is kept."""
    exact = Table(
        box=None,
        title_justify="left",
        title=f"planted, {LEFT} of {OF} units left: largest change of an output / at the first step",
    )
    ways = {"shrink": cut_by_us, "torch.ao saliency": cut_by_saliency, "Torch-Pruning magnitude": cut_by_torch_pruning}
    for name in ("network", *ways):
        exact.add_column(name)
    for name, kinds in PLANTED.items():
        exact.add_row(name, *(off(planted(**kinds), way) for way in ways.values()))
    console.print(exact)
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


class Planted(nn.Module):
    """An LSTM and a readout of every step."""

    def __init__(self, **kinds: Any) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, OF, batch_first=True, **kinds)
        self.readout = nn.Linear((self.lstm.proj_size or OF) * (1 + self.lstm.bidirectional), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs of every step."""
        made: torch.Tensor = self.readout(self.lstm(x)[0])
        return made


@torch.no_grad()
def planted(**kinds: Any) -> Planted:
    """Return a network in which units 5 and 6 are copies of 0, 7 to 9 hear no input, and nobody reads 10 and 11."""
    torch.manual_seed(0)
    model = Planted(**kinds)
    lstm = model.lstm
    ends = [name.removeprefix("weight_ih") for name, _ in lstm.named_parameters() if name.startswith("weight_ih")]
    for end in ends:
        rows = [getattr(lstm, name + end).view(4, OF, -1) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for weight in rows:
            weight[:, 5] = weight[:, 6] = weight[:, 0]
            weight[:, 7:10] = 0.0
        rows[2][:, 7:10] = torch.tensor([[1.0, 0.3, 2.0], [-200.0] * 3, [0.7, -0.4, 1.0], [0.5, 2.0, -1.0]]).unsqueeze(
            2
        )
        if lstm.proj_size:
            getattr(lstm, f"weight_hr{end}")[:, 10:] = 0.0
            continue
        rows[1][:, :10, 10:] = 0.0
        columns = [unit + OF * end.endswith("reverse") for unit in (10, 11)]
        above = [getattr(lstm, f"weight_ih_l1{other}") for other in ("", "_reverse")[: 1 + lstm.bidirectional]
                 if lstm.num_layers > 1 and "_l0" in end]  # fmt: skip
        for weight in above or [model.readout.weight]:
            weight[:, columns] = 0.0
    return model.eval()


def off(model: Planted, way: Callable[[Planted, torch.Tensor], Any]) -> str:
    """Return by how much outputs change where a way cuts the units that can be, as a cell; or the error."""
    x = torch.randn(64, 30, 3, generator=torch.Generator().manual_seed(1))
    try:
        with torch.no_grad():
            small = way(model, x)
            if small.lstm.hidden_size != LEFT:
                return f"{small.lstm.hidden_size} units"
            change = (small(x) - model(x)).abs()
        return f"{float(change.max()):.1e} / {float(change[:, 0].max()):.1e}"
    except Exception as error:
        return type(error).__name__


def cut_by_us(model: Planted, x: torch.Tensor) -> nn.Module:
    """Return what `shrink` leaves of a planted network."""
    from lstm_probe.capacity.shrink import shrink
    from lstm_probe.core.signal import Batch

    return shrink(model, Batch(x, {}, (), torch.full((len(x),), x.shape[1]), {}), units=LEFT).model


def cut_by_saliency(model: Planted, x: torch.Tensor) -> Any:
    """Return what PyTorch's own pruner leaves of a planted network; its readout follows by itself."""
    from torch.ao.pruning._experimental.pruner import LSTMSaliencyPruner

    made: Any = copy.deepcopy(model)
    pruner = LSTMSaliencyPruner({"sparsity_level": 1 - LEFT / OF})
    names = [name for name, _ in made.lstm.named_parameters() if name.startswith(("weight_ih", "weight_hh"))]
    pruner.prepare(made, [{"tensor_fqn": f"lstm.{name}"} for name in names])
    pruner.enable_mask_update = True
    pruner.step()
    return pruner.prune()


def cut_by_torch_pruning(model: Planted, x: torch.Tensor) -> Any:
    """Return what Torch-Pruning leaves of a planted network."""
    import torch_pruning

    made: Any = copy.deepcopy(model)
    with torch.enable_grad():  # it follows the graph of gradients
        torch_pruning.pruner.MagnitudePruner(
            made, x[:4], importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=1 - LEFT / OF,
            ignored_layers=[made.readout],
        ).step()  # fmt: skip
    return made


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
