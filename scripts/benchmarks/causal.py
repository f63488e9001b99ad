"""Clamped passes beside the bare kernel, the whole table of ablations, sets, shares, and fixed points."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table

from benchmarks.following import on_fixed_points, on_memories, on_patches
from benchmarks.timing import console, median_seconds

SEQUENCES, UNITS, ROUNDS = 256, (8, 32, 128), 25
COPIES = 32  # units of the network with planted copies


def run(arguments: argparse.Namespace) -> None:
    """Train a network of each size and print the tables; sizes above 32 stay as they begin."""
    rounds = max(arguments.repeats, ROUNDS)
    table = Table(box=None, title=f"as multiples of the bare fused forward on {SEQUENCES} x 50, median",
                  title_justify="left")  # fmt: skip
    table.add_column("units", justify="right")
    for name in ("bare, ms", "clamp c", "clamp h", "half of c", "window of c", "resample c", "table / units",
                 "with sets / units"):  # fmt: skip
        table.add_column(name, justify="right")
    models = {units: network(units, arguments.steps if units <= 32 else 0) for units in arguments.units}
    for units, (model, batch) in models.items():
        bare, *passes = timed_passes(model, batch, rounds)
        whole = [seconds / units / bare for seconds in timed_tables(model, batch)]
        table.add_row(str(units), f"{1000 * bare:.2f}", *(f"{seconds / bare:.2f}" for seconds in passes),
                      *(f"{ratio:.2f}" for ratio in whole))  # fmt: skip
    console.print(table)
    model = models[32][0] if 32 in models else None
    for line in [*on_sets(model), *on_patches(models), *([] if model is None else on_memories(model))]:
        console.print(line)
    console.print(on_fixed_points())


def network(units: int, steps: int) -> tuple[Any, Any]:
    """Return a network trained on the default task, and sequences."""
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.tasks import get_task

    task = get_task("tracking")
    outputs = sum(spec.size for spec in task.targets)
    batch = task.sample(SEQUENCES, 1)
    model = SequenceModel(batch.inputs.shape[-1], outputs, units, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(steps):
        own = task.sample(64, 1000 + step)
        optimizer.zero_grad()
        own.loss(model(own.inputs)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval(), batch


@torch.no_grad()
def timed_passes(model: Any, batch: Any, rounds: int) -> list[float]:
    """Return the processor time of the bare kernel, and of each kind of clamped pass of it."""
    from lstm_probe.causal.clamp import Clamp
    from lstm_probe.causal.clamping import clamping
    from lstm_probe.causal.donors import tracing

    lstm, x = model.lstm, batch.inputs
    with tracing(lstm) as donors:
        lstm(x.roll(1, 0))
    half = tuple(range(0, lstm.hidden_size, 2))
    clamps = [
        Clamp(0, "forward", "c", (1,), (0.1,)), Clamp(0, "forward", "h", (1,), (0.1,)),
        Clamp(0, "forward", "c", half, (0.1,) * len(half)), Clamp(0, "forward", "c", (1,), (0.1,), (10, 20)),
        Clamp(0, "forward", "c", (1,), None),
    ]  # fmt: skip

    def clamped(clamp: Any) -> Callable[[], object]:
        def run_it() -> object:
            with clamping(lstm, [clamp], donors):
                return lstm(x)

        return run_it

    return median_seconds([lambda: lstm(x), *(clamped(clamp) for clamp in clamps)], rounds, time.process_time)


def timed_tables(model: Any, batch: Any) -> list[float]:
    """Return the processor time of the table of every unit alone, and of that with all sets."""
    from lstm_probe.causal import ablate_units

    return median_seconds(
        [lambda: ablate_units(model, batch, together=False), lambda: ablate_units(model, batch)], 3, time.process_time
    )


def on_sets(model: Any) -> list[str]:
    """Return what planted copies and shares take."""
    from lstm_probe.causal.needs import find_needs
    from lstm_probe.causal.shares import unit_shares
    from lstm_probe.planted import combine
    from lstm_probe.planted.units import Latch
    from lstm_probe.tasks import get_task

    lines = []
    for copies in (2, 3):
        net = combine([Latch()], COPIES - 1, seed=0)
        unit = net.where["latch"]
        into = [other for other in range(COPIES) if other != unit][: copies - 1]
        lstm, readout = net.model.lstm, net.model.readout
        with torch.no_grad():
            for values in lstm.parameters():
                rows = values.view(4, COPIES, -1)
                rows[:, into] = rows[:, [unit]]
            readout.weight[:, [unit, *into]] = readout.weight[:, [unit]] / copies
            needs = find_needs(
                net.model.eval(), net.sample(SEQUENCES), layer=None, variable="c", mode="mean", window=None,
                donors=None, units=None, together=True, groups=None, bootstrap=1000, min_drop=0.01, seed=0,
            )  # fmt: skip
        assert needs.together is not None
        found = [len(units) for units, _ in needs.together.sets]
        lines.append(
            f"{copies} copies of a latch among {COPIES} units: sets of {found} in {needs.together.passes} passes"
        )
    if model is not None:
        batch = get_task("tracking").sample(2048, 2)
        started = time.process_time()
        shares = unit_shares(model, batch)
        seconds = time.process_time() - started
        passes, error = shares.attrs["passes"], shares.attrs["largest_se"]
        lines.append(f"shares of 32 units, 5 targets: {seconds:.1f} s, {passes} passes, standard error {error:.3f}")
    return lines


def add(commands: Any) -> None:
    """Add the command `causal` with its options."""
    parser = commands.add_parser("causal", help="clamped passes, tables of ablations, sets and shares")
    parser.set_defaults(run=run)
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, help="sizes of the network (default 8 32 128)")
    parser.add_argument("--steps", type=int, default=1500, help="of training (default 1500)")
