"""Composes a command's configuration with Hydra and runs its job, or those of a sweep with any launcher."""

import argparse
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_probe.cli import cluster, cluster_ray, cluster_slurm, interrupts, local, optuna
from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.filters import WHERE, gathered
from lstm_probe.cli.jobs import EXIT_CODES, composition_problem, explain, run_job
from lstm_probe.cli.meant import settle
from lstm_probe.cli.overrides import check
from lstm_probe.cli.own_tasks import offer_tasks
from lstm_probe.cli.repeated import each_once
from lstm_probe.cli.stack_offer import stack_offer
from lstm_probe.cli.summary import summarize
from lstm_probe.cli.written import as_meant, spread
from lstm_probe.core.budget import at_most
from lstm_probe.core.console import say, set_up_logging
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import ALL, text
from lstm_probe.core.files import check_writable, configuration_folder
from lstm_probe.runs.plain import called_objects

#: Of a job in the folder of its sweep, as conf/common.yaml has it.
JOB_FOLDER = "${hydra.job.num}"
NOT_TAKEN = ("config_path", "config_name", "experimental_rerun")


def launch(command: str, arguments: Sequence[str]) -> int:
    """Run a command and return the exit code.

    Args:
        command: one of `SCHEMAS`.
        arguments: its overrides and Hydra's flags, in any order.

    Raises:
        InputError: every problem of the overrides and of the composed configuration.
    """
    check_here()
    settle(command, arguments)
    args, parser = read_arguments(arguments)
    own = [Path(args.config_dir).absolute()] if args.config_dir else []
    folders = [configuration_folder(), *own]  # Hydra's own order: the first that has a file wins
    show = args.cfg or args.info or args.hydra_help
    tasks_file = offer_tasks(*own)
    args.overrides = [spread(command, line, folders) for line in as_meant(command, args.overrides)]
    with at_most(_max_bytes(args.overrides)):  # a table is read when its task's parameters are checked
        check(command, args.overrides, args.multirun, folders, to_run=not show)
    args.overrides = [_normal(command, line) for line in gathered(command, args.overrides)]
    register_schemas(command)
    try:
        if show:
            return _show(command, args, parser)
        return _run(command, args, own, tasks_file)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(*composition_problem(error)) from error
    finally:
        GlobalHydra.instance().clear()


def check_here() -> None:
    """Raise an InputError where the folder in which this runs has been removed, so that no path leads anywhere."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("The current folder is not there any more; change to another one.") from None


def _max_bytes(lines: Sequence[str]) -> int | None:
    """Return what overrides say of `max_bytes`; None where they say nothing, or no number."""
    values = [line.partition("=")[2] for line in lines if line.lstrip("+").startswith("max_bytes=")]
    return int(values[-1]) if values and values[-1].isdecimal() else None


def _normal(command: str, line: str) -> str:
    """Return an override as Hydra takes it, whatever the number of pluses the user put before it."""
    bare = line.lstrip("+")
    key, _, value = bare.partition("=")
    for own, f in keys_of(SCHEMAS[command]):
        if own == key and value == ALL and f.metadata.get("whole"):
            return f"{key}={text(f.metadata['whole'])}"
    if bare.startswith("hydra"):
        return line
    # What a preset of the user's own leaves to its class's default can be set all the same.
    return f"++{bare}" if bare.startswith(("task.", f"{WHERE}=")) else bare


def read_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """Return Hydra's flags and the overrides; an InputError where a flag is none of Hydra's."""
    parser = get_args_parser()
    flags = [flag for action in parser._actions for flag in action.option_strings]

    def fail(message: str) -> None:
        _, _, unknown = message.partition("unrecognized arguments: ")
        raise InputError(f"{unknown}: no such flag.{nearest(unknown, flags)}" if unknown else f"{message}.")

    parser.error = fail  # type: ignore[method-assign, assignment]  # for this parser alone
    args = parser.parse_intermixed_args(list(arguments))
    instead = "not supported here; put your own configuration into a folder and name it with --config-dir"
    taken = [f"--{name.replace('_', '-')}: {instead}." for name in NOT_TAKEN if getattr(args, name)]
    if args.config_dir and not Path(args.config_dir).is_dir():
        taken.append(f"--config-dir={args.config_dir}: there is no such folder.")
    if bool(args.cfg) + bool(args.info) + args.multirun + args.run > 1:
        taken.append("--cfg, --info, --run and --multirun cannot be combined.")
    if taken:
        raise InputError(*taken)
    return args, parser


def register_schemas(*commands: str) -> None:
    """Make the schemas of commands known to Hydra, under the names that conf/*.yaml use, and the launchers."""
    store = ConfigStore.instance()
    for command in commands:
        store.store(name=f"{command}_schema", node=SCHEMAS[command])
    version.setbase("1.3")
    local.register()
    optuna.prefer_high_scores()
    cluster.register(cluster_slurm.SlurmArray)
    cluster.register(cluster_ray.RayCluster)


def _show(command: str, args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Let Hydra show the configuration or information about itself."""
    # Hydra instantiates nothing for this, so there is nothing to refuse.
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed with Hydra's stack
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level  # Hydra puts its own there
    try:
        _run_hydra(args, parser, partial(run_job, command), str(configuration_folder()), command)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        root.handlers[:] = handlers
        root.setLevel(level)
    return 0


def _run(command: str, args: argparse.Namespace, own: Sequence[Path], tasks_file: Path | None) -> int:
    search_path = create_config_search_path(str(configuration_folder()))
    for folder in own:
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    hydra = Hydra.create_main_hydra2("lstm_probe", search_path)
    composed = hydra.compose_config(
        command,
        args.overrides,
        run_mode=RunMode.MULTIRUN,
        with_log_configuration=False,
        validate_sweep_overrides=False,
    )
    refuse_called(composed)
    set_up_logging()
    sweep = args.multirun or (composed.hydra.mode == RunMode.MULTIRUN and not args.run)
    if sweep:
        launcher = Plugins.instance().class_name_to_class[composed.hydra.launcher._target_]
        if issubclass(launcher, cluster.ClusterLauncher):
            launcher.check()
        check_sweep(composed.hydra)
        check_writable(Path(str(composed.hydra.sweep.dir)), "hydra.sweep.dir")
    job = partial(run_job, command, tasks_file=tasks_file)
    if sweep:
        return _sweep(hydra, command, job, args.overrides, composed)
    outcome = hydra.run(command, job, [*args.overrides, "hydra.mode=RUN"]).return_value
    say(*outcome.error)
    return EXIT_CODES[outcome.status]


def refuse_called(composed: Any) -> None:
    """Raise an InputError where a composed configuration has Hydra make an object other than an installed launcher.

    Overrides, presets and files of `--config-dir` have come together here, whatever way they were written.
    """
    hydra = OmegaConf.to_container(composed.hydra, resolve=False)
    own = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(hydra, dict) and isinstance(own, dict)
    problems = []
    if hydra.get("callbacks"):
        names = ", ".join(map(str, hydra["callbacks"]))
        problems.append(f"hydra.callbacks={names}: not taken; a command runs no code that a configuration names.")
    for part, kind in (("launcher", Launcher), ("sweeper", Sweeper)):
        target = dict(hydra.get(part) or {}).pop("_target_", None)
        if not issubclass(Plugins.instance().class_name_to_class.get(str(target), object), kind):
            problems.append(f"hydra.{part}._target_={target}: not taken; choose by hydra/{part}=<name>.")
        hydra[part] = {key: value for key, value in (hydra.get(part) or {}).items() if key != "_target_"}
    if called := hydra["sweeper"].get(optuna.CALLED):
        problems.append(f"hydra.sweeper.{optuna.CALLED}={called}: not taken; a command runs no code that a "
                        "configuration names.")  # fmt: skip
    hydra["sweeper"] = optuna.allowed(hydra["sweeper"])
    settings = {**{key: value for key, value in own.items() if key != "hydra"}, "hydra": {**hydra, "callbacks": {}}}
    problems += [f"{key}: not taken; no object is made from a configuration." for key in called_objects(settings)]
    if problems:
        raise InputError(*problems)


def check_sweep(hydra: Any) -> None:
    """Raise an InputError where Hydra's part of a composed configuration makes no sweep of which all jobs are known."""
    problems = []
    for part, key in (("launcher", "jobs"), ("sweeper", "max_batch_size")):
        if (number := hydra[part].get(key)) is not None and number < 1:
            problems.append(f"hydra.{part}.{key}={number}: must be a whole number from 1 on, or null.")
    own: Any = OmegaConf.to_container(hydra.sweep, resolve=False)
    if own["subdir"] != JOB_FOLDER:
        problems.append(f"hydra.sweep.subdir={own['subdir']}: not taken; each job has a folder by its number, where "
                        "its outcome is looked for. The sweep's own is hydra.sweep.dir=<folder>.")  # fmt: skip
    if hydra.searchpath:
        problems.append(
            f"hydra.searchpath={text(list(hydra.searchpath))}: not taken; name your folder by --config-dir."
        )
    if problems:
        raise InputError(*problems)


def _sweep(hydra: Hydra, command: str, job: Any, overrides: Sequence[str], composed: Any) -> int:
    folder = Path(str(composed.hydra.sweep.dir))
    if composed.hydra.sweeper._target_.endswith(".BasicSweeper"):  # others may choose a value twice
        overrides, repeated = each_once(overrides)
        say(*repeated)
    if command == "train" and (offer := stack_offer(overrides, composed)) is not None:
        say(offer)
    where = QuotedString(str(folder), Quote.single).with_quotes()
    code = 0
    try:
        hydra.multirun(command, job, [*overrides, f"hydra.sweep.dir={where}", "hydra.mode=MULTIRUN"])
    except (HydraException, OmegaConfBaseException, OSError):
        raise
    except Exception as error:  # a launcher's own: a job's error is in its outcome
        interrupts.heed(error)  # of workers that were ended with us, no launcher knows why
        status, lines = explain(error, folder)
        code = EXIT_CODES[status]
        say(*lines)
    finally:
        local.staff.dismiss()
        jobs_code = summarize(folder, command)
    return max(code, jobs_code)
