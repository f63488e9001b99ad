"""The command line: `lstm-probe COMMAND [key=value ...]`. Help, dispatch, errors and exit codes.

Only what help and `--version` need is imported at the top; Hydra, torch and the like come when a command
runs.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from lstm_probe.cli import interrupts
from lstm_probe.cli.config import SCHEMAS
from lstm_probe.core.errors import InputError

BAD_INPUT = 2
VERSION = ("--version", "version")
COMPLETION = ("--shell-completion", "-sc")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code: 0 done, 1 a run failed, 2 bad input, 129, 130, 143 interrupted.

    Args:
        argv: the arguments after the program's name; those of the process where this is None.
    """
    from lstm_probe.core.console import say, write_what_can_be

    write_what_can_be(sys.stdout, sys.stderr)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with interrupts.noticed():
            return dispatch(arguments)
    except InputError as error:
        say(*error.problems)
    except KeyboardInterrupt:
        resumes = arguments[:1] in (["train"], ["size"], ["reproduce"])
        again = " The same command continues where this one stopped." if resumes else ""
        if interrupts.hung_up():  # nobody reads on
            silence(sys.stdout, sys.stderr)
        say(f"Interrupted.{again}")
        # Python ends with the signal instead of our exit code if Ctrl-C came while a text was executed (as
        # imports of dataclasses do), unless another text is executed after it.
        exec("")
        return interrupts.exit_code()
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        silence(sys.stdout)
        return 0
    except OSError as error:
        from lstm_probe.cli.jobs import explain_os_error

        say(explain_os_error(error))
    return BAD_INPUT


def silence(*streams: TextIO) -> None:
    """Let nothing more be written to these, which nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def dispatch(arguments: list[str]) -> int:
    """Show help or the version, complete a line for the shell, or launch a command; returns the exit code."""
    if not arguments:
        arguments = ["--help"]
    from lstm_probe.cli.usage import HELP, help_asked, show_command_help, show_help

    command, *rest = arguments
    if command in HELP and rest:
        command, rest = rest[0], ["--help", *rest[1:]]
    if command in HELP:
        show_help()
        return 0
    if command in VERSION:
        from importlib.metadata import version

        from lstm_probe.core.console import out

        out.print(f"lstm-probe {version('lstm-probe')}", highlight=False)
        return 0
    if command in COMPLETION:
        from lstm_probe.cli.completion import complete

        return complete(rest)
    if command not in SCHEMAS:
        from lstm_probe.cli.wrong_command import no_such_command

        raise InputError(*no_such_command(command, rest))
    if (asked := help_asked(rest)) is not None:
        show_command_help(command, *asked)
        return 0
    from lstm_probe.cli.launch import launch

    return launch(command, rest)
