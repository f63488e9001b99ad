"""The rooms of the house: who may use whom, read from the imports themselves."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lstm_probe

PACKAGE = Path(lstm_probe.__file__).parent
ROOT = PACKAGE.parent


def drawn(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the rooms of each line of a text's drawing, which stand before what they are for."""
    drawing = text.partition("\n## The rooms\n")[2].split("```\n")[1]
    rooms = [re.match(r"(\w+/ +)+", line) for line in drawing.splitlines()]
    return tuple(tuple(re.findall(r"\w+", found[0])) if found else () for found in rooms)


#: A room uses only rooms on lines below its own; those that share a line don't use each other.
LINES = drawn((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
LINE_OF = {room: k for k, rooms in enumerate(LINES) for room in rooms}
#: The doors to the whole house, which all rooms stand behind.
DOORS = ("__init__", "__main__")


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, without the package's own."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imported(path: Path, names: dict[str, Path]) -> Iterator[tuple[str, bool]]:
    """Go through the modules of the package that a file imports, also inside functions, and whether to run it.

    What is imported for types alone is an arrow too, but closes no circle when the program runs.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            told = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            told = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in told:
            if not full.startswith("lstm_probe."):
                continue
            name = full.removeprefix("lstm_probe.")
            while name and name not in names:
                name = name.rpartition(".")[0]
            if name:
                yield name, node not in for_types


def room(module: str) -> str:
    return module.partition(".")[0]


def test_the_drawing_has_every_room_once_and_no_other():
    there = {room(name) for name in modules()} - set(DOORS)
    assert sorted(there) == sorted(one for line in LINES for one in line)
    assert drawn("\n## The rooms\n```\na/  b/  two/rooms\nc/  one\nnone\n```\n") == (("a", "b"), ("c",), ())
    assert all(LINES)


def test_arrows_go_downward():
    names = modules()
    upward = [
        f"{name} -> {other}"
        for name, path in names.items()
        if name not in DOORS
        for other, _ in imported(path, names)
        if room(other) != room(name) and LINE_OF[room(other)] <= LINE_OF[room(name)]
    ]
    assert not upward


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the circles that a walk through the arrows comes upon."""
    found, done = [], set()

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
            return
        if name in done:
            return
        for other in sorted(arrows.get(name, ())):
            walk(other, [*way, name])
        done.add(name)

    for name in sorted(arrows):
        walk(name, [])
    return found


def test_no_module_leads_back_to_itself():
    names = modules()
    arrows = {
        name: {other for other, runs in imported(path, names) if runs and other != name} for name, path in names.items()
    }
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]
    assert not circles(arrows)


@pytest.mark.parametrize(("library", "home"), [("hydra", "cli"), ("omegaconf", "cli")])
def test_only_one_room_knows_a_library(library, home):
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            told = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            told += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert room(name) == home or not any(one.split(".")[0] == library for one in told), name
