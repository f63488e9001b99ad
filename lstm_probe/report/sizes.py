"""What searches for a size have found, for the page: sentences, and the picture drawn anew from the stored tables."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_probe.report.pictures import picture
from lstm_probe.sizing.stored import stored_names, stored_sizes

SIZE_ALT = (
    "Score of each training against the number of units, and how often a training with so many units is expected to "
    "solve the task, with its 95 % band"
)


@dataclass(frozen=True)
class SizeAnswer:
    """A stored answer.

    Attributes:
        name: of the task, and of what is not usual.
        lines: the answer, then those of its targets, where there are several.
        took: how many trainings it rests on, and by what a training counted as solved.
        place: of its picture's files, within the page's folder.
        picture: as `picture` gives it.
    """

    name: str
    lines: tuple[str, ...]
    took: str
    place: str
    picture: Any


def size_answers(outputs: Path, tasks: Collection[str], folder: Path) -> list[SizeAnswer]:
    """Return the answers of searches on these tasks, their pictures drawn into `folder`/figures."""
    from lstm_probe.figures import size_search
    from lstm_probe.report.drawing import draw_for_page

    found = [one for one in stored_sizes(outputs)[0] if one.size.task in tasks]
    answers = []
    for name, one in zip(stored_names(found), found):
        size = one.size
        place = f"figures/size-{size.task}-{size.path.name}"
        draw_for_page(
            size_search(size.curve, size.trials, units=size.units, low=size.low, high=size.high), folder / place
        )
        targets = tuple(own.sentence for own in size.targets.values()) if len(size.targets) > 1 else ()
        took = f"From {len(size.trials)} trainings; solved: {size.rule}."
        answers.append(SizeAnswer(name, (size.sentence, *targets), took, place, picture(folder / place, SIZE_ALT)))
    return answers
