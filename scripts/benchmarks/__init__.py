"""What `scripts/benchmark.py` measures: one module per benchmark, each adds its own command by `add(commands)`."""
