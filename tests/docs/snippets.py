"""The code and the commands of the project's pages, found in their Markdown."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from lstm_probe.cli.config import SCHEMAS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

#: What stands in the pages for a finished run.
RUN = "outputs/runs/tracking/u32-s0-c0530754"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_PROGRAM = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(?:lstm-probe|python -m lstm_probe)\b ?(.*)$")


def python_blocks(text: str) -> Iterator[tuple[int, str]]:
    """Go through a page's blocks of Python: the line of each, and its code."""
    for found in _FENCE.finditer(text):
        if found[1] == "python":
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every command line of a page, in blocks, and in single quotes between them.

    Between words a command's name may stand without the program's, if a key or a flag follows: `runs check=true`. What
    has dots or capitals in place of something is no command line, but for DIR, FOLDER and <name>.
    """
    lines = [line for found in _FENCE.finditer(text) if found[1] != "python" for line in found[2].splitlines()]
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    found = [match[1] for line in [*lines, *spans] if (match := _PROGRAM.match(line))]
    found += [span for span in spans if re.match(rf"({'|'.join(SCHEMAS)}) .*(=|--)", span)]
    kept = [line for line in found if not re.search(r"\.\.\.|COMMAND|key=", line)]
    return [arguments for line in dict.fromkeys(kept) if (arguments := shlex.split(line, comments=True))]


def made_targets(text: str) -> set[str]:
    """Return the targets of make that a page names."""
    return set(re.findall(r"(?:^|`)make (\w+)", text, re.M))


def scripts(text: str) -> set[str]:
    """Return the scripts that a page names."""
    return set(re.findall(r"\bscripts/\w+\.py", text))


def links(text: str) -> list[str]:
    """Return where a page's links lead, pictures too; not those within its code."""
    plain = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    return re.findall(r"\]\(([^)\s]+)\)", plain) + re.findall(r"<img [^>]*src=\"([^\"]+)\"", plain)
