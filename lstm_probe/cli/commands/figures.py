"""`figures`: a run's figures and tables as files for a paper, a talk or a notebook, all of them or none.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.progress import Progress
from rich.text import Text

from lstm_probe.cli.config import FiguresConfig
from lstm_probe.core.console import console, out
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import check_writable
from lstm_probe.runs.latex import table_names, write_table
from lstm_probe.runs.run import Run, load_run


def run(config: FiguresConfig) -> None:
    """Draw the figures, write the tables, and print where each file is."""
    drawn = load_run(config.run)
    tables = tables_of(config, drawn)
    folder = folder_of(config, drawn)
    from lstm_probe.core.looks import PAPER_DPI, PNG_DPI
    from lstm_probe.figures.saving import save
    from lstm_probe.report.drawing import figures_of

    figures = {} if tables and config.only is None else figures_of(drawn, style=config.style, width=config.width)
    names = [] if tables and config.only is None else chosen(config.only, list(figures))
    dpi = PNG_DPI if config.style == "notebook" else PAPER_DPI
    with whole(folder) as partial, Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        written = [file.name for name in tables for file in write_table(drawn, name, partial, columns=config.columns)]
        for name in bar.track(names, description="drawing"):
            save(figures[name](), partial / name, formats=config.formats, dpi=dpi)
    for file in (*(f"{name}.{format}" for name in names for format in config.formats), *written):
        out.print(Text(str(folder / file)), soft_wrap=True)


def tables_of(config: FiguresConfig, run: Run) -> list[str]:
    """Return which of the run's tables are written.

    Raises:
        InputError: columns of no table.
    """
    if config.columns is not None and config.table in (None, "all"):
        raise InputError("columns: are those of one table; table=NAME says which")
    if config.table is None:
        return []
    return table_names(run) if config.table == "all" else [config.table]


def folder_of(config: FiguresConfig, run: Run) -> Path:
    """Return the folder that the files go into.

    Raises:
        InputError: it is in the run's own folder, or nobody may write there.
    """
    if config.to is None:
        looks = f"{config.style}-{config.width}" if config.table is None or config.only is not None else "tables"
        folder = Path(config.outputs) / "figures" / str(run.info["task"]) / run.name / looks
    else:
        folder = Path(config.to).expanduser()
    key = "outputs" if config.to is None else "to"
    if folder.resolve().is_relative_to(run.path.resolve()):
        raise InputError(f"{key}={getattr(config, key)}: is in the run's own folder, which stays as it was made")
    if next(path for path in (folder, *folder.absolute().parents) if path.exists()).is_file():
        raise InputError(f"{key}={getattr(config, key)}: is, or is below, a file; it must be a folder")
    check_writable(folder, key)
    return folder


def chosen(only: Sequence[str] | None, there: Collection[str]) -> list[str]:
    """Return which figures are drawn.

    Raises:
        InputError: one that was asked for is not among those of the run.
    """
    if not there:
        raise InputError("run: there is nothing to draw of it; `probe` and `ablate` measure it")
    problems = [f"only={name}: the run has no such figure.{nearest(name, list(there))} It has {', '.join(there)}."
                for name in only or () if name not in there]  # fmt: skip
    if problems:
        raise InputError(*problems)
    return [name for name in there if only is None or name in only]


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into, whose files go into their place when all are there, and nowhere before."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield partial
        for file in sorted(partial.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # a folder in which there is something stays
            for empty in made:
                empty.rmdir()
