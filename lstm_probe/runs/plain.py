"""A run's `config.yaml`: written and read as plain data, whoever wrote it."""

from collections.abc import Mapping
from typing import Any

import yaml

from lstm_probe.core.digests import DamagedError

LARGEST, SHORT = 1_000_000, 4_000  # bytes


class _Writer(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Reader(yaml.SafeLoader):  # type: ignore[misc]
    def compose_node(self, parent: Any, index: Any) -> Any:
        # A few lines of them can stand for more values than there is memory for.
        if self.check_event(yaml.AliasEvent):
            raise DamagedError("aliases (*) are not taken")
        return super().compose_node(parent, index)


def to_yaml(config: Mapping[str, Any]) -> str:
    """Return a configuration as YAML."""
    result: str = yaml.dump(dict(config), Dumper=_Writer, sort_keys=False)
    return result


def from_yaml(content: bytes) -> dict[str, Any]:
    """Return the configuration that a `config.yaml` holds.

    Raises:
        DamagedError: it is none, or asks for an object to be made, as Hydra would.
        Exception: of YAML's own kinds.
    """
    if len(content) > LARGEST:
        raise DamagedError(f"it has {len(content)} bytes, more than {LARGEST}")
    # PyYAML's parser in C, where there is one, takes a tenth of the time. It can't be told to refuse aliases, which
    # have a star, and ends the process where values lie some ten thousand deep in each other.
    plain = len(content) <= SHORT and b"*" not in content
    config = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", _Reader) if plain else _Reader)
    if not isinstance(config, dict) or not isinstance(config.get("task"), dict):
        raise DamagedError("not a configuration")
    if called := called_objects(config):
        raise DamagedError(f"{called[0]} is not taken")
    return config


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a configuration with dotted keys.

    >>> flat({"task": {"name": "parity"}, "units": 8})
    {'task.name': 'parity', 'units': 8}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def called_objects(value: Any, key: str = "") -> list[str]:
    """Return the dotted keys by which a configuration asks Hydra, or Python's logging, to make an object.

    >>> called_objects({"a": [{"b": {"_target_": "os.system"}}]})
    ['a.0.b._target_']
    """
    if isinstance(value, Mapping):
        pairs = [(str(name), inner) for name, inner in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(str(k), inner) for k, inner in enumerate(value)]
    else:
        return []
    dot = f"{key}." if key else ""
    found = [f"{dot}{name}" for name, _ in pairs if name in ("_target_", "()")]
    return found + [one for name, inner in pairs for one in called_objects(inner, f"{dot}{name}")]
