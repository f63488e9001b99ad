"""The settings of what is measured on a network: defaults, meaning, legal values.

What several analyses share is declared here; what one of them brings along stands in its entry in `analyses.py`.
Nothing here imports anything heavy, so that help and error messages can use it.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, make_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lstm_probe.core.budget import MOST_BYTES
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import declare, default_of, text
from lstm_probe.core.vocabulary import ESTIMATORS, MODES, NULLS
from lstm_probe.network.settings import LARGEST_SEED, Experiment
from lstm_probe.runs.analyses import default_names, of_command, own_settings

#: What a run is measured with.
MEASURES = ("full", "light", "none")
#: What a light measuring makes: what it rests on which units track signals, and which are needed.
LIGHT = ("probes", "ablations")

Settings = Mapping[str, tuple[Any, Field[Any]]]

_SHARED: dict[str, Settings] = {
    "probe": {
        "sequences": (int, declare(512, "sequences to record and probe", 20, 1_000_000)),
        "variables": (list[str] | None, declare(
            None, "variables of the units to probe, of an LSTM some of h c i f g o; null: all", example="[c,h]")),
        "lags": (list[int], declare([0], "how many steps back the signals are taken", 0, 100_000)),
        "folds": (int, declare(5, "parts of the held-out split, by sequence", 2, 10)),
        "null": (str, declare(
            "shuffle", "what chance is: whole sequences (or groups) exchanged; signals rolled in time (for few, long "
            "ones), or shifted by windows (of one series)",
            choices=NULLS)),
        "permutations": (int, declare(1000, "shuffles of the null", 19, 1_000_000)),
        "bootstrap": (int, declare(1000, "resamples of sequences for intervals", 10, 1_000_000)),
        "untrained": (int, declare(
            19, "untrained networks to compare with: fewer than 1/alpha − 1 tell nothing", 1, 1000)),
        "estimator": (str, declare(
            "ridge", "how all units together predict classes: ridge is many times faster", choices=ESTIMATORS)),
        "alpha": (float, declare(0.05, "level of the family-wise test that decides `tracks`", 0.0001, 0.5)),
        "min_effect": (float, declare(0.25, "smallest effect that counts as tracking, for numbers (R²)", 0.0, 1.0)),
        "min_effect_class": (float, declare(0.46, "likewise for classes (2·AUROC − 1): as strong", 0.0, 1.0)),
        "margin": (float, declare(0.2, "share of what a baseline leaves open that the effect must close", 0.0, 1.0)),
        "least_margin": (float, declare(0.01, "how far it must lie above the step and the present input at least",
                                        0.0, 1.0)),
        "least_swap": (float, declare(0.02, "how far it must lie above the past-swap at least", 0.0, 1.0)),
    },
    "ablate": {
        "sequences": (int, declare(256, "sequences to run with clamped units", 16, 1_000_000)),
        "variable": (str | None, declare(None, "variable to clamp; null: the memory, of an LSTM c", example="h")),
        "mode": (str, declare("mean", "clamp to the unit's mean, to zero, or to its values in other sequences",
            choices=MODES)),
        "bootstrap": (int, declare(1000, "resamples of sequences for intervals", 10, 1_000_000)),
        "min_drop": (float, declare(
            0.01, "smallest loss that counts, as a share of the target's score", 0.0, 1.0)),
    },
    "dynamics": {
        "sequences": (int, declare(256, "sequences to follow and to intervene in", 16, 1_000_000)),
        "after": (list[int], declare([1, 5, 15], "steps after an intervention at which outputs are looked at",
                                     0, 100_000, unordered=True)),
        "bootstrap": (int, declare(1000, "resamples of sequences for intervals", 10, 1_000_000)),
    },
}  # fmt: skip


def _all_of(command: str) -> dict[str, tuple[Any, Field[Any]]]:
    names = [analysis.name for analysis in of_command(command)]
    whole = [analysis.name for analysis in of_command(command) if not analysis.needs and not analysis.along_training]
    further = [name for name in names if name not in whole]
    also = f"; all: every one but {' and '.join(further)}" if further else ""
    listed = declare(default_names(command), f"which analyses to make{also}", choices=names, whole=whole)
    return {"analyses": (list[str], listed), **_SHARED[command], **own_settings(command)}


def _settings_class(name: str, command: str, doc: str) -> Any:
    """Return the dataclass of a command's settings; importable by its name, as other processes need it."""
    made = make_dataclass(name, [(key, kind, own) for key, (kind, own) in _all_of(command).items()])
    made.__module__, made.__doc__ = __name__, doc
    return made


if TYPE_CHECKING:
    from lstm_probe.cells.declared import Cell

    class ProbeSettings:
        """Which unit tracks which signal."""

        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

        def __init__(self, **settings: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    class AblateSettings:
        """Which units the network needs."""

        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

        def __init__(self, **settings: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    class DynamicsSettings:
        """How memories are written, held and read."""

        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

        def __init__(self, **settings: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    ProbeSettings = _settings_class("ProbeSettings", "probe", "Which unit tracks which signal.")
    AblateSettings = _settings_class("AblateSettings", "ablate", "Which units the network needs.")
    DynamicsSettings = _settings_class("DynamicsSettings", "dynamics", "How memories are written, held and read.")


def test_sequences_field() -> Any:
    """Return the field of `test_sequences`, wherever it is a setting."""
    return declare(512, "sequences of the final test", 16, 1_000_000)


def threads_field() -> Any:
    """Return the field of `threads`."""
    return declare(1, "processor threads; one is fastest for networks of this size", 1, 1024)


def max_bytes_field() -> Any:
    """Return the field of `max_bytes`."""
    return declare(MOST_BYTES, "memory that reading one file of weights, of a table or of a text may take",
                   1_000_000, 10**15, example="4000000000")  # fmt: skip


def measure_field() -> Any:
    """Return the field of `measure`."""
    return declare("full", "what is measured on the network: full; light: what is tracked and needed, no page; "
                   "none; the same command with full adds the rest later",
                   choices=MEASURES)  # fmt: skip


def outputs_field() -> Any:
    """Return the field of `outputs`."""
    return declare("outputs", "folder of runs and reports", example="outputs")


@dataclass
class RunSettings(Experiment):
    """What a run of a network that is trained here is made of, and where it goes."""

    test_sequences: int = test_sequences_field()
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()
    force: bool = declare(False, "train again even if the run exists")
    measure: str = measure_field()
    checkpoints: int = declare(0, "copies of the weights along training that are kept, for probe.analyses=[learning]",
                               0, 1000)  # fmt: skip
    stack: int = declare(0, "networks to train as one stack: seeds seed, seed + 1 and so on, a run each; 0: none",
                         0, 10_000)  # fmt: skip
    stack_lrs: list[float] | None = declare(  # noqa: RUF009
        None, "learning rates of a stack: each seed is trained with each; null: lr", 1e-7, 10.0, example="[0.01,0.03]"
    )
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    ablate: AblateSettings = field(default_factory=AblateSettings)
    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)


#: By command, which is also the key of its settings.
COMMANDS = ("probe", "ablate", "dynamics")
#: Those that came when there were runs: what all their analyses share decides only where it is not at its default.
LATER = ("dynamics",)


def complete(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's settings, those that are not given at their defaults.

    A run's configuration does not have them all: what one analysis brings along is left out where it is at its
    default, and what came after the run was made is not there.
    """
    return {key: given.get(key, default_of(own)) for key, (_, own) in _all_of(command).items()}


def of_cell(command: str, settings: Mapping[str, Any], cell: "Cell") -> dict[str, Any]:
    """Return a command's settings with the variables of a cell: all are probed and its memory is clamped, if not said.

    Raises:
        InputError: a variable that the cell has not.
    """
    made = dict(settings)
    usual: dict[str, Any] = {"variables": list(cell.names), "variable": cell.memory}
    problems = []
    for key in usual.keys() & made.keys():
        given = made[key]
        if given is None:
            made[key] = usual[key]
            continue
        words = [given] if isinstance(given, str) else given
        problems += [f"{command}.{key}={text(given)}: {cell.a_title} has no {word}; there are {' '.join(cell.names)}."
                     f"{nearest(word, cell.names)}" for word in words if word not in cell.names]  # fmt: skip
    if problems:
        raise InputError(*problems)
    return made


def not_given(config: Any) -> list[str]:
    """Return what the analyses that a configuration asks for need, and it does not give, a line each."""
    problems = []
    for command in COMMANDS:
        settings: Any = getattr(config, command, None)
        for analysis in of_command(command) if settings is not None else ():
            asked = f"{command}.analyses=[{analysis.name}]"
            if analysis.name not in settings.analyses:
                continue
            for key in analysis.needs:
                if getattr(settings, key) is None:
                    own = next(f for f in fields(settings) if f.name == key)
                    like = f"as in {command}.{key}={own.metadata['example']}"
                    problems.append(
                        f"{command}.{key}: a value is missing, for {asked}: {own.metadata['help']}; {like}."
                    )
            if analysis.along_training and not hasattr(config, "run"):
                if not hasattr(config, "checkpoints"):
                    problems.append(f"{asked}: a network made elsewhere has no checkpoints of its training.")
                elif not config.checkpoints:
                    problems.append(f"checkpoints=0: {asked} needs some, as in checkpoints=20.")
    return problems


def members_of(config: RunSettings) -> list[RunSettings]:
    """Return the settings of each member of a stack, by seed and learning rate; its own alone where there is none.

    They say nothing of the others: a member's result does not depend on who they are, nor on how many.
    """
    if not config.stack:
        return [config]
    return [
        replace(config, seed=config.seed + k, lr=float(lr), stack=1, stack_lrs=None)
        for k in range(config.stack)
        for lr in config.stack_lrs or [config.lr]
    ]


def stack_problems(config: Any) -> list[str]:
    """Return what is wrong with the keys of a stack."""
    if not isinstance(config, RunSettings):
        return []
    if config.stack_lrs is not None and not config.stack:
        return [f"stack_lrs={text(config.stack_lrs)}: only a stack has several; say how many seeds, as in stack=8."]
    last = config.seed + config.stack - 1
    if config.stack and last > LARGEST_SEED:
        return [
            f"stack={config.stack}: its seeds would go from {config.seed} to {last}; the largest is {LARGEST_SEED}."
        ]
    return []


def that_decide(command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a command's settings belongs to a run's identity.

    Which analyses are made does not: a run.json says which were. And what one analysis brings along does only where
    it is not at its default, so that runs are still found by their command when an analysis has been added.
    """
    own = _all_of(command) if command in LATER else own_settings(command)
    kept = {key: value for key, value in settings.items() if key not in own or value != default_of(own[key][1])}
    kept.pop("analyses", None)
    return kept
