"""A Sphinx extension: what the package declares, put into the pages while they are read.

A line `{{ name ... }}` of a page is replaced by what `PARTS[name]` makes of the words after it. So keys, columns and
tasks stand in the package alone, and a page can't say something else.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field
from functools import reduce
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.roles import XRefRole

import lstm_probe as lp
from lstm_probe.cells.known import NAMES
from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.usage import EXAMPLES
from lstm_probe.core.fields import REQUIRED, default_of, legal, text
from lstm_probe.core.run_columns import FURTHER
from lstm_probe.runs.analyses import LIST, MADE_OF_OTHERS, of_command

#: Settings that several commands take, in the order of their pages' sections.
NESTED = ("probe", "ablate", "dynamics")
_PLACE = re.compile(r"^\{\{ (\w+)((?: [^\s}]+)*) \}\}$", re.MULTILINE)


def escaped(words: str) -> str:
    """Return plain words, in which single quotes name things, as Markdown that shows them."""
    parts = re.split(r"(`[^`]*`)", words)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]|#$])", r"\\\1", part) for part in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()) or ' ' for cell in line)} |" for line in lines) + "\n"


def public(*names: str) -> str:
    """Return a list of these public names, and the description of each from its docstring."""
    lines = ["```{eval-rst}"]
    for name in names:
        if inspect.ismodule(_thing(name)):
            lines += ["", f".. automodule:: lstm_probe.{name}"]
    listed = [name for name in names if not inspect.ismodule(_thing(name))]
    if listed:
        lines += ["", ".. currentmodule:: lstm_probe", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in listed]
    for name in listed:
        module, _, own = f"lstm_probe.{name}".rpartition(".")
        kind = "class" if inspect.isclass(_thing(name)) else "function"
        lines += ["", f".. currentmodule:: {module}", "", f".. auto{kind}:: {own}"]
        lines += ["   :members:"] * (kind == "class")
    return "\n".join([*lines, "```"])


def _thing(name: str) -> Any:
    """Return what a public name, or one of a public module, stands for."""
    return reduce(getattr, name.split("."), lp)


def columns() -> str:
    """Return every table's columns with their meanings, each table under a heading of its own."""
    blocks = []
    says = {own.name: f"{own.says}. Made by `{own.command}`." for own in LIST}
    for name in dict.fromkeys([*says, *FURTHER, *MADE_OF_OTHERS]):
        words = says.get(name, "")
        meanings = ((f"`{column}`", escaped(meaning)) for column, meaning in lp.columns(name).items())
        blocks += [f"## {name}", words[:1].upper() + words[1:], table(("column", "meaning"), meanings)]
    return "\n\n".join(blocks)


def _rows(keys: Iterable[tuple[str, Field[Any]]]) -> Iterator[tuple[str, str, str, str]]:
    for key, f in keys:
        if key == "task":
            yield f"`{key}`", "", "[a task](tasks.md); parameters: `task.<name>`", escaped(f.metadata["help"])
        else:
            default = default_of(f)
            shown = "must be given" if default == REQUIRED else f"`{text(default)}`"
            yield f"`{key}`", shown, escaped(legal(f)), escaped(f.metadata["help"])


def commands() -> str:
    """Return every command with its examples and its keys; those of shared settings are linked to."""
    blocks = []
    for command, schema in SCHEMAS.items():
        keys = list(keys_of(schema))
        own = [(key, f) for key, f in keys if key.split(".")[0] not in NESTED]
        nested = sorted({key.split(".")[0] for key, _ in keys} & set(NESTED), key=NESTED.index)
        examples = "\n".join(f"lstm-probe {line}" for line in EXAMPLES[command])
        blocks += [f"## {command}", (schema.__doc__ or "").strip(), f"```console\n{examples}\n```"]
        blocks.append(table(("key", "default", "legal", "meaning"), _rows(own)))
        if nested:
            links = ", ".join(f"[`{name}.*`](settings.md#{name})" for name in nested)
            blocks.append(f"And the settings of what is measured: {links}.")
    return "\n\n".join(blocks)


def settings() -> str:
    """Return the settings of what is measured, by the command that measures it, and its analyses."""
    blocks = []
    for name in NESTED:
        keys = [(key, f) for key, f in keys_of(SCHEMAS[name]) if key.startswith(f"{name}.")]
        made = ((f"[`{own.name}`](tables.md#{own.name})", "yes" if own.default else "when named", escaped(own.says))
                for own in of_command(name))  # fmt: skip
        blocks += [f"## {name}", table(("key", "default", "legal", "meaning"), _rows(keys)),
                   f"What `{name}.analyses` can name:", table(("analysis", "made", "tells"), made)]  # fmt: skip
    return "\n\n".join(blocks)


def tasks() -> str:
    """Return the catalogue of tasks."""
    head = ("name", "summary", "targets", "signals", "smallest", "source")
    shown = lp.list_tasks()[list(head)].fillna(" ").astype(str)
    rows = [(f"`{name}`", *map(escaped, rest)) for name, *rest in shown.itertuples(index=False)]
    return table(("task", "what it is", "targets", "signals", "units that it needs", "source"), rows)


def cells() -> str:
    """Return a table of the cells that configuration offers."""
    known = [lp.get_cell(name) for name in NAMES]
    rows = [(f"`{name}`", escaped(cell.title), " ".join(cell.names), cell.memory) for name, cell in zip(NAMES, known)]
    return table(("cell", "what it is", "variables", "memory"), rows)


PARTS: dict[str, Callable[..., str]] = {
    "public": public, "columns": columns, "commands": commands, "settings": settings, "tasks": tasks,
    "cells": cells,
}  # fmt: skip


def filled_in(source: str) -> str:
    """Return a page's source with its places filled in."""
    return _PLACE.sub(lambda found: PARTS[found[1]](*found[2].split()), source)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = filled_in(source[0])


def _resolve(app: Sphinx, env: Any, node: addnodes.pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Link a name in single quotes, or a class at its home, to where the public name is described; else leave it."""
    homes = {f"{thing.__module__}.{thing.__qualname__}": name for name in lp.__all__
             if inspect.isclass(thing := getattr(lp, name))}  # fmt: skip
    target = str(node["reftarget"]).removeprefix("lstm_probe.").removeprefix("lp.").removesuffix("()")
    name = homes.get(str(node["reftarget"]), target)
    domain = env.domains.python_domain
    for full in (f"lstm_probe.{name}", f"lstm_probe.figures.{name}", f"lstm_probe.planted.{name}"):
        if entry := domain.objects.get(full):
            place = app.builder.get_relative_uri(node["refdoc"], entry.docname)
            return nodes.reference("", "", content, internal=True, refuri=f"{place}#{entry.node_id}")
    return content if node.get("reftype") == "named" or node["reftarget"].startswith("lstm_probe.") else None


def _plain(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Let |r| and `Signal`s of a docstring be read as they are meant; examples stay as they are."""
    example = False
    for n, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[n] = re.sub(r"(`[^`]+`)(?=(\w?))", lambda m: m[1] + r"\ " * bool(m[2]), line.replace("|", r"\|"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_role_to_domain("py", "named", XRefRole())
    app.add_role("named", XRefRole())
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _plain)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
