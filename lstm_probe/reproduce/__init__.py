"""Published results, measured again: what was published, how it is computed here, and when it counts as reproduced.

Nothing is imported here, so that the command line knows the results' names at once: `results.py` has all of them.
"""

#: The name of every result, in the order in which they are listed.
KEYS = (
    "dyck1", "shuffle2", "anbn", "anbncn", "fewest", "flipflop", "universality", "parity", "temporal_order", "reber",
    "adding", "copy_memory", "recall", "evidence", "bits", "bounded_dyck", "untrained", "parameters", "agreement",
    "python_source", "zero_ablation", "selectivity", "label_units", "chrono",
)  # fmt: skip
