"""Completion of command lines in the shell: commands by us, keys and values by Hydra.

`eval "$(lstm-probe -sc install=bash)"` switches it on.
"""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO

from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.global_hydra import GlobalHydra

from lstm_probe.cli.config import SCHEMAS
from lstm_probe.cli.jobs import run_job
from lstm_probe.cli.launch import register_schemas
from lstm_probe.cli.own_tasks import offer_tasks
from lstm_probe.cli.usage import FLAGS, HELP, topics
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import configuration_folder


def offer(words: Sequence[str], last: str) -> list[str] | None:
    """Return what may follow where that is no key=value: commands behind `help`, what `--help` tells, flags; else None.

    Args:
        words: of the line, behind the program's name.
        last: the one that is being typed; empty behind a space.
    """
    command, *given = words[:-1] if last else words
    if command in HELP and not given:
        return list(SCHEMAS)
    if command in HELP:
        command, given = given[0], ["--help", *given[1:]]
    if command not in SCHEMAS:
        return None
    if given and given[-1] in HELP:
        return topics(command)
    if last.startswith("-"):
        return [flag for name, _ in FLAGS for flag in re.findall(r"--[a-z-]+", name)]
    return None


def complete(arguments: Sequence[str]) -> int:
    """Answer the shell: install or uninstall the completion, or complete the line in COMP_LINE.

    Args:
        arguments: `install=bash`, `uninstall=bash` or `query=bash`, as Hydra's own scripts say it; for fish
            and zsh alike.
    """
    if len(arguments) != 1 or arguments[0].partition("=")[0] not in ("install", "uninstall", "query"):
        raise InputError("-sc: write install=bash, uninstall=bash, or the same for fish or zsh.")
    command, asked = "train", arguments[0].startswith("query=")
    if asked:
        program, _, rest = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
        typed = re.match(r"\s*(\S+)\s+", rest)
        if typed is None:
            out.print(" ".join(name for name in SCHEMAS if name.startswith(rest.strip())), soft_wrap=True)
            return 0
        command = typed[1]
        last = rest.rpartition(" ")[2]
        if (words := offer(rest.split(), last)) is not None:
            out.print(" ".join(word for word in words if word.startswith(last)), soft_wrap=True, markup=False)
            return 0
        if command not in SCHEMAS:
            return 0
        os.environ["COMP_LINE"] = f"{program} {rest[typed.end() :]}"
    register_schemas(command)
    offer_tasks()
    parser = get_args_parser()
    args = parser.parse_args(["-sc", *arguments])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed with Hydra's stack
    said = StringIO()
    try:
        with redirect_stdout(said if asked else sys.stdout):
            _run_hydra(args, parser, partial(run_job, command), str(configuration_folder()), command)
    except ValueError as error:
        raise InputError(" ".join(str(error).split())) from None
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        GlobalHydra.instance().clear()
    if asked:
        offered = (word for word in said.getvalue().split() if not word.startswith("recipe="))  # follows from the task
        out.print(" ".join(offered), soft_wrap=True, markup=False)
    return 0
