#!/usr/bin/env python
"""The gallery: figures of real runs, and a page whose numbers are those of the runs.

    python scripts/gallery.py                     makes the runs that are not in outputs/ yet; draws outputs/gallery
    python scripts/gallery.py --into FOLDER       with the runs of FOLDER/outputs

Beside the figures: `numbers.json`, what the runs' tables say; `README.md`, the template `gallery.md` with these numbers
filled in; and `demo.txt`, what `make demo` prints. The figures of calibration are made by `calibration.py`.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

import lstm_probe as lp
from lstm_probe.core.anatomy import Anatomy
from lstm_probe.report import write_run_report
from lstm_probe.report.drawing import figures_of
from lstm_probe.runs.coloured import coloured_text_table
from lstm_probe.runs.run import Run
from lstm_probe.sizing.answer import Size
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.stored import load_size
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "outputs" / "gallery"
TEMPLATE = Path(__file__).with_suffix(".md")
DRIVER, CHROMIUM = Path("/usr/bin/chromedriver"), Path("/usr/bin/chromium")
COLUMNS, DPI, COLOURS = 92, 120, 255

#: What is typed, by what is shown of it.
COMMANDS = {
    "demo": ("train", "units=32"),
    "sizes": ("train", "experiment=capacity"),
    "size": ("size", "task=flipflop"),
    "text": ("train", "task=python_source", "units=128"),
    "points": ("train", "task=flipflop", "task.bits=2", "units=8"),
}


def run_command(arguments: Sequence[str], folder: Path) -> str:
    """Run a command in a folder, as a terminal of 92 columns without colours shows it; return what it printed."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "lstm_probe", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def put(figure: Figure, name: str) -> None:
    """Write a figure into the gallery, as a small PNG."""
    _, png = lp.figures.save(figure, GALLERY / name, dpi=DPI)
    (GALLERY / f"{name}.svg").unlink()
    Image.open(png).convert("RGB").quantize(COLOURS).save(png, optimize=True)


def look_at(run: Run) -> None:
    """Take a picture of the run's page where its explorer begins; without Chromium, that which is there stays."""
    if not (DRIVER.is_file() and CHROMIUM.is_file()):
        return
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1280,1000"):
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder:
        page = write_run_report(run, Path(folder))
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        try:
            driver.get(page.as_uri())
            driver.execute_script("document.getElementById('explorer').scrollIntoView()")
            taken = io.BytesIO(driver.get_screenshot_as_png())
        finally:
            driver.quit()
    Image.open(taken).convert("RGB").quantize(COLOURS).save(GALLERY / "page.png", optimize=True)


def run_numbers(run: Run) -> dict[str, Any]:
    """Return what a run's tables say, in the numbers that the page shows.

    By target its score; by signal the units whose memory tracks it; how many units are needed alone, and how many are
    enough for the task, where that was measured.
    """
    memory = run.probes[run.probes["tracks"] & (run.probes["variable"] == "c") & (run.probes["lag"] == 0)]
    needed = run.ablations[run.ablations["needed"] == "alone"]
    where = ["layer", "direction", "unit"]
    enough = run.sufficient[(run.sufficient["target"] == "all") & run.sufficient["kept"].astype(bool)]
    return {
        "run": run.name,
        "units": int(run.info["units"]),
        "scores": {name: round(float(score), 3) for name, score in run.info["scores"].items()},
        "worst": round(min(map(float, run.info["scores"].values())), 3),
        "tracking": {name: sorted(map(int, own["unit"])) for name, own in memory.groupby("signal", sort=False)},
        "n_tracking": len(memory.drop_duplicates(where)),
        "n_needed_alone": len(needed.drop_duplicates(where)),
        "n_enough": len(enough.drop_duplicates(where)),
    }


def size_numbers(found: Size) -> dict[str, Any]:
    """Return a search's answer."""
    return {"sentence": found.sentence, "units": found.units, "low": found.low, "high": found.high,
            "possible": found.possible, "trainings": len(found.trials)}  # fmt: skip


def sweep_numbers(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what several runs say of each target, in sentences."""
    (sentences,) = outcome_words(size_outcomes(runs)).values()
    return {"runs": len(runs), "sentences": sentences}


def page(numbers: Mapping[str, Any]) -> str:
    """Return the gallery's page: the template with the numbers filled in."""
    lines = "".join(f"<br>{line}" for line in numbers["sizes"]["sentences"])
    told = numbers | {"sizes": numbers["sizes"] | {"lines": lines}}
    told |= {key: " ".join(command) for key, command in _typed().items()}
    return TEMPLATE.read_text(encoding="utf-8").format(**told)


def _typed() -> dict[str, Sequence[str]]:
    return {f"type_{key}": ("lstm-probe", *command) for key, command in COMMANDS.items()}


def made(arguments: Sequence[str], folder: Path) -> tuple[str, Run]:
    """Make one run, unless it is there; return what was printed, and the run."""
    said = run_command(arguments, folder)
    path = next(line for line in said.splitlines() if line.startswith("report: ")).removeprefix("report: ")
    return said, lp.load_run((folder / path).parent)


def main() -> None:
    """Make the runs, the figures, the numbers and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT, help="the folder whose outputs/ has the runs")
    folder = parser.parse_args().into.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    put(lp.figures.anatomy_figure(Anatomy(units=32, inputs=8)), "anatomy")

    said, demo = made(COMMANDS["demo"], folder)
    (GALLERY / "demo.txt").write_text(said, encoding="utf-8")
    look_at(demo)
    draw = figures_of(demo)
    for name in ("units", "tracked", "sufficient", "traces"):
        put(draw[name](), name)

    run_command(COMMANDS["sizes"], folder)
    sizes, seeds = {2, 4, 8, 16, 32}, {0, 1, 2}
    found, _ = lp.find_runs(folder / "outputs", pattern=str(folder / "outputs" / "runs" / "tracking" / "*"))
    runs = [run for run in found if run.info["units"] in sizes and run.info["seed"] in seeds]
    put(lp.figures.capacity_curves(capacity_table(runs), capacity_seeds(runs)), "capacity")

    said = run_command(COMMANDS["size"], folder)
    place = next(line for line in said.splitlines() if line.startswith("figure and tables: "))
    size = load_size(folder / place.removeprefix("figure and tables: "))
    put(lp.figures.size_search(size.curve, size.trials, units=size.units, low=size.low, high=size.high), "size")

    _, text = made(COMMANDS["text"], folder)
    put(lp.figures.coloured_text(coloured_text_table(text, characters=360, most=3)), "coloured_text")

    _, points = made(COMMANDS["points"], folder)
    put(lp.figures.state_space(lp.state_space(points.model, points.task.sample(256, seed=1))), "state_space")

    numbers = {"demo": run_numbers(demo), "sizes": sweep_numbers(runs), "size": size_numbers(size),
               "text": run_numbers(text), "points": run_numbers(points)}  # fmt: skip
    (GALLERY / "numbers.json").write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (GALLERY / "README.md").write_text(page(numbers), encoding="utf-8")


if __name__ == "__main__":
    main()
