"""Benchmarks of what follows memories: interchange, erasure, fixed points, how they are written, held and read."""

import time
from typing import Any

import torch

from benchmarks.timing import median_seconds


def erasure_seconds(model: Any) -> tuple[float, float]:
    """Return what it takes to take one signal out with the check of what is left, and one random direction."""
    from lstm_probe.causal.beside import beside
    from lstm_probe.causal.editing import Editing
    from lstm_probe.causal.erasing import Erasing, at_random, of_signal
    from lstm_probe.causal.erasure import FEW
    from lstm_probe.tasks import get_task

    batch = get_task("tracking").sample(3072, 3)
    with torch.no_grad():
        pair = beside(batch, {"count": batch.signals["count"]}, None, None, 0)
        few = pair.some(FEW)[0]
        many, some = (Erasing(one, Editing(model, one.batch), "h", False, 0) for one in (pair, few))
        signal = pair.signals[0]
        ways = [lambda: many.without(of_signal(signal), signal), lambda: some.without(at_random(1, 0, 0))]
        first, second = median_seconds(ways, 3, time.process_time)
    return first, second


@torch.no_grad()
def on_patches(models: dict[int, tuple[Any, Any]]) -> list[str]:
    """Return what it takes to put every unit's memory from another sequence in, at five moments."""
    from lstm_probe.causal.patches import patch_units

    lines = []
    for units, (model, batch) in models.items():
        named = {spec.name: batch.signals[spec.name] for spec in batch.target_specs}
        (seconds,) = median_seconds([lambda m=model, b=batch, s=named: patch_units(m, b, s)], 3, time.process_time)
        lines.append(f"interchange of {units} units, {len(named)} signals, 5 moments: {seconds:.2f} s")
    return lines


def on_fixed_points(units: int = 16, steps: int = 3000) -> str:
    """Return what finding the fixed points of a network that holds three bits takes."""
    from lstm_probe.dynamics.fixed_points import fixed_points
    from lstm_probe.reproduce.networks import trained

    net = trained("flipflop", 0, units=units, steps=steps)
    batch = net.task.sample(256, 1)
    [seconds] = median_seconds([lambda: fixed_points(net.model, batch)], 5, time.process_time)
    table = fixed_points(net.model, batch)
    about = table.attrs["inputs"][0]
    return (f"fixed points of {units} units that hold 3 bits: {seconds:.2f} s, {int(table['stable'].sum())} of "
            f"{len(table)} stable; {100 * about['ended']:.0f} % of {about['states']} states end at one")  # fmt: skip


def on_memories(model: Any) -> list[str]:
    """Return what it takes to follow how memories are written, held, read and erased, and how long they last."""
    from lstm_probe.dynamics.flow import memory_flow
    from lstm_probe.dynamics.timescales import timescales
    from lstm_probe.tasks import get_task

    batch = get_task("tracking").sample(512, 2)
    flow, times = median_seconds(
        [lambda: memory_flow(model, batch), lambda: timescales(model, batch, batch.signals)], 3, time.process_time
    )
    first, second = erasure_seconds(model)
    return [
        f"erasure from 32 units, 2048 + 1024 sequences: {first:.2f} s a signal; {second:.2f} s a random direction",
        f"written, held and read, 32 units, 512 sequences: {flow:.1f} s; time constants: {times:.2f} s",
    ]
