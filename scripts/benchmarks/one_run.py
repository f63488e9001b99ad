"""One command of lstm-probe, with the processor time that it and its parts take; a process of its own runs this file.

    PYTHONPATH=FOLDER python scripts/benchmarks/one_run.py SECONDS.json train units=8 outputs=...

Which version of the project is run is for PYTHONPATH to say; of older ones only what is named here has to be there.
"""

import functools
import importlib
import json
import pkgutil
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The analyses that `probe` consists of, by the names of their functions in any version.
ANALYSES = (
    "probe_units", "curved_units", "probe_populations", "signal_codes", "memory_curves", "partial_effects",
    "tuning_curves", "gate_saturation",
)  # fmt: skip


def timed(function: Callable[..., Any], seconds: dict[str, float]) -> Callable[..., Any]:
    """Return the function, which from now on adds its processor time to `seconds`."""

    @functools.wraps(function)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        started = time.process_time()
        try:
            return function(*args, **keywords)
        finally:
            name = function.__name__
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - started

    return wrapped


def time_analyses(seconds: dict[str, float]) -> None:
    """Time the analyses wherever a module of the package has them under their names."""
    import lstm_probe

    for info in pkgutil.walk_packages(lstm_probe.__path__, "lstm_probe."):
        if not info.name.endswith("__main__"):
            try:
                importlib.import_module(info.name)
            except ImportError:  # what an extra is needed for
                continue
    modules = [module for name, module in sys.modules.items() if name.startswith("lstm_probe")]
    wrappers: dict[Any, Callable[..., Any]] = {}
    for module in modules:
        for name in ANALYSES:
            function = vars(module).get(name)
            if callable(function):
                wrappers.setdefault(function, timed(function, seconds))
                setattr(module, name, wrappers[function])


def main() -> None:
    """Run the command; write the analyses' seconds."""
    seconds: dict[str, float] = {}
    time_analyses(seconds)
    # A run's phases are timed by this clock; processor time is what a busy machine does not change.
    time.perf_counter = time.process_time
    file, *sys.argv[1:] = sys.argv[1:]
    try:
        runpy.run_module("lstm_probe", run_name="__main__", alter_sys=True)
    finally:
        Path(file).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
