#!/usr/bin/env python
"""Benchmarks: everything that is compared runs side by side in one process, on one thread, as medians of several.

    python scripts/benchmark.py recording      what recording costs beside the bare nn.LSTM
    python scripts/benchmark.py stream         memory and time of recording to disk and probing from there
    python scripts/benchmark.py probing        scores beside scikit-learn's, the null, and a whole probe
    python scripts/benchmark.py causal         clamped passes, tables of ablations, sets and shares
    python scripts/benchmark.py shrink         what smaller networks keep, by ways of making them
    python scripts/benchmark.py tasks          making training data beside training, for every task
    python scripts/benchmark.py store          opening a finished run and comparing its files with their digests;
                                               with --runs 1000 10000, what reads stores of so many runs
    python scripts/benchmark.py phases         each phase of a run, also beside another version of the project
    python scripts/benchmark.py sweep          a sweep on all cores beside one core, and what of it is training
    python scripts/benchmark.py stack          many small networks trained as one stack beside one after another
    python scripts/benchmark.py clicks         first paint and clicks in the explorer of runs' pages, in Chromium
    python scripts/benchmark.py --help         all of them

Ratios are what counts: the machines that this runs on are shared, and seconds come and go.
"""

import argparse

import torch
from benchmarks import causal, clicks, phases, probing, recording, shrink, stack, store, stream, sweep, tasks

#: The benchmarks, in the order of `--help`; none imports lstm_probe by itself, so that memory is measured from before.
MODULES = (
    recording,
    stream,
    probing,
    causal,
    shrink,
    tasks,
    store,
    phases,
    sweep,
    stack,
    clicks,
)


def main() -> None:
    """Read the command line and run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timed rounds of each (default 7)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in MODULES:
        module.add(commands)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
