"""YAML that may come from anyone: a few lines of it can stand for more than any memory holds."""

from pathlib import Path
from typing import Any

from lstm_probe.core.budget import size_of_regular

MOST_BYTES = 2**18
MOST_NODES = 100_000  # when what is there by an alias is counted as often as it is there


def load_yaml(text: str) -> Any:
    """Return what a YAML text says, as plain data.

    Raises:
        ValueError: it is too long, or stands for too much.
        yaml.YAMLError: it is no YAML.
    """
    import yaml

    if len(text) > MOST_BYTES:
        raise ValueError(f"has {len(text)} characters; at most {MOST_BYTES} are read")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if _count(node, {}) > MOST_NODES:
            raise ValueError("its aliases stand for one another over and over")
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def load_yaml_file(path: Path) -> Any:
    """Return what a YAML file says; errors as of `load_yaml`, and an InputError for what is no file on the disk."""
    if (size := size_of_regular(str(path), path)) > 4 * MOST_BYTES:
        raise ValueError(f"has {size} bytes; at most {MOST_BYTES} are read")
    return load_yaml(path.read_text(encoding="utf-8"))


def _count(node: Any, counted: dict[int, int]) -> int:
    """Return how many nodes a node stands for; one that is part of itself has no end."""
    if id(node) not in counted:
        counted[id(node)] = MOST_NODES + 1
        inside = node.value if isinstance(getattr(node, "value", None), list) else []
        parts = [part for one in inside for part in (one if isinstance(one, tuple) else (one,))]
        counted[id(node)] = 1 + sum(_count(part, counted) for part in parts)
    return counted[id(node)]
