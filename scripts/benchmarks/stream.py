"""Memory and time of recording to disk and probing from there."""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from rich.table import Table
from torch import nn

from benchmarks.timing import console, peak_megabytes


def stream_once(steps: int, arguments: argparse.Namespace, folder: str) -> tuple[float, float, float, float, float]:
    """Record so many steps to disk and probe them; return both's seconds of computing, their wall time, and peaks.

    For a process of its own: a peak of memory stays.
    """
    torch.set_num_threads(1)
    before = peak_megabytes()  # with torch
    import lstm_probe as lp

    task = lp.get_task("tracking")
    torch.manual_seed(0)
    lstm = nn.LSTM(len(task.input_names), arguments.units, batch_first=True)
    batches = steps // (task.length * arguments.sequences)
    given = (task.sample(arguments.sequences, seed=k) for k in range(batches))
    started, computed = time.perf_counter(), time.process_time()
    stored = lp.record(lstm, given, to=folder, variables=arguments.variables, sequences=batches * arguments.sequences)
    recorded, recorded_peak = time.process_time(), peak_megabytes()
    lp.probe_units(stored, permutations=arguments.permutations, untrained=arguments.untrained)
    probed = time.process_time() - recorded
    wall = time.perf_counter() - started
    return recorded - computed, probed, wall, recorded_peak - before, peak_megabytes() - before


def run(arguments: argparse.Namespace) -> None:
    """Record to disk and probe from there, for growing numbers of steps: memory must not grow, time linearly."""
    title = f"tracking, {arguments.units} units, {arguments.variables}; shards of {arguments.sequences} sequences; "
    title += f"{arguments.permutations} permutations, {arguments.untrained} untrained networks"
    table = Table(title=title, title_justify="left")
    for name in ("steps", "record s", "probe s", "s per M", "wall s", "MB record", "MB all"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for steps in arguments.steps:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            alone = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            with alone:
                got = alone.submit(stream_once, steps, arguments, f"{folder}/recording").result()
        record_s, probe_s, wall, recorded, peak = got
        each = (record_s + probe_s) / steps * 1e6
        table.add_row(f"{steps / 1e6:g} M", f"{record_s:.1f}", f"{probe_s:.1f}", f"{each:.1f}", f"{wall:.0f}",
                      f"{recorded:.0f}", f"{peak:.0f}")  # fmt: skip
        console.print(f"{steps:,} steps: done in {wall:.0f} s")
    console.print(table)
    console.print("Seconds are of computing (one thread); MB are above the interpreter and torch, at the peak.")


def add(commands: Any) -> None:
    """Add the command `stream` with its options."""
    parser = commands.add_parser("stream", help="memory and time of recording to disk and probing from there")
    parser.set_defaults(run=run)
    parser.add_argument("--steps", type=int, nargs="+", default=[2_500_000, 5_000_000, 10_000_000],
                        help="numbers of steps (default 2.5, 5 and 10 million)")  # fmt: skip
    parser.add_argument("--units", type=int, default=64, help="of the LSTM (default 64)")
    parser.add_argument("--variables", default="c", help="which of hcifgo to record (default c)")
    parser.add_argument("--sequences", type=int, default=512, help="in a shard, of 50 steps each (default 512)")
    parser.add_argument("--permutations", type=int, default=1000, help="of the null (default 1000)")
    parser.add_argument("--untrained", type=int, default=19, help="networks with random weights (default 19)")
    parser.add_argument("--folder", help="where the recording goes meanwhile, 300 MB per million steps "
                        "(default: the system's temporary folder)")  # fmt: skip
