"""Whether a run that is being looked at is still the one in its place: another process may make it again meanwhile."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.holding import TakenOverError
from lstm_probe.runs.info import read_info
from lstm_probe.runs.run import Run


def confirm_there(run: Run) -> None:
    """Raise a TakenOverError, one sentence, where a run was made again or removed since it was opened.

    One to which analyses were added meanwhile is the same.
    """
    kept = "so nothing of this analysis is kept"
    try:
        now = read_info(run.path)
    except (InputError, OSError):
        if (run.path / "run.json").exists():
            return  # it is damaged, which whoever reads it says
        raise TakenOverError(f"run={run.path}: another process removed it meanwhile, {kept}.") from None
    if _training(now) != _training(run.info):
        raise TakenOverError(
            f"run={run.path}: another process made it again meanwhile, {kept}; the same command makes it of the run "
            "that is there now."
        )


@contextmanager
def still_there(run: Run) -> Iterator[None]:
    """Turn any error in this context into a TakenOverError where the run was made again or removed meanwhile."""
    try:
        yield
    except Exception as error:
        try:
            confirm_there(run)
        except TakenOverError as overtaken:
            raise overtaken from error
        raise


def _training(info: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what no two makings of a run have in common: when it was done, and its history, which has seconds."""
    return info["finished"], (info.get("files") or {}).get("history.parquet")
