"""What an analysis of a run is: what its entry in the list says of it.

Nothing here imports anything heavy: functions are named, and imported when they are called.
"""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from importlib import import_module
from typing import Any

from lstm_probe.core.columns import Columns


def _nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Analysis:
    """One analysis of a run.

    Functions are named as "module:function", a module of this package.

    Attributes:
        name: of its table, of the file `<name>.parquet`, and of the attribute of a Run.
        command: which command makes it ("probe", "ablate" or "dynamics"), and under which key its settings stand.
        says: what the table says, in a few words.
        function: makes the table from a recording and signals ("probe"), or from a model and a batch
            (and signals, where it has such a parameter).
        declared: the table's columns with a sentence on each: "module:NAME".
        takes: which of the command's settings are handed on, by their own names.
        settings: what it brings along: configuration keys by name, each with its type and its field.
        default: whether it is made when nothing else is said.
        all_variables: whether it looks at every variable that is probed, instead of the memory c alone (or the
            first that is probed, where c is not).
        lags: "all" that are probed, the "first", or None: the analysis has none, or chooses them itself.
        also: further arguments, made from the command's settings.
        figure: draws the table, or what `drawn` chooses of it; None for no figure of its own on the page.
        drawn: chooses the rows to draw.
        caption: what stands below the picture.
        shown: says what the picture shows, from the rows that are drawn, for those who do not see it; None where the
            small table of `page` says that.
        card, card_end: sentences on one unit, from its rows of the table (the whole one, where it is not about
            units) and an `About`; `card_end` comes after all other analyses' sentences.
        words: sentences on the network as a whole, from its table, for the page and the terminal.
        page: makes a small table for the page and the terminal out of the whole one.
        sequences: how many it takes at least, whatever the command's settings say; None: as many as they say.
        picture: the name of its figure where that is not its own.
        along_training: whether it is made from the checkpoints along a training, by the number of updates, and a batch.
        needs: those of its settings that have to be given.
        without_outputs: whether it can be made of a network whose outputs mean nothing here, such as an imported one
            without its readout.
    """

    name: str
    command: str
    says: str
    function: str
    declared: str
    takes: tuple[str, ...] = ()
    settings: Mapping[str, tuple[Any, Field[Any]]] = field(default_factory=dict)
    default: bool = True
    all_variables: bool = False
    lags: str | None = "first"
    also: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
    figure: str | None = None
    drawn: str | None = None
    caption: str = ""
    shown: str | None = None
    card: str | None = None
    card_end: str | None = None
    words: str | None = None
    page: str | None = None
    sequences: int | None = None
    picture: str | None = None
    along_training: bool = False
    needs: tuple[str, ...] = ()
    without_outputs: bool = False

    @property
    def file(self) -> str:
        """The name of its file in a run's folder."""
        return f"{self.name}.parquet"

    @property
    def columns(self) -> Columns:
        """The columns of the table, with a sentence on each."""
        result: Columns = resolve(self.declared)
        return result


def resolve(name: str) -> Any:
    """Return what is named as "module:name" in this package."""
    module, _, own = name.partition(":")
    return getattr(import_module(f"lstm_probe.{module}"), own)
