"""What a mutant is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A small way to break the package, and the tests that must notice.

    Attributes:
        name: the room, a point, and what is broken; each only once.
        file: from the repository's root.
        old: text that stands in the file exactly once.
        new: what takes its place.
        tests: files for pytest, or single tests in them.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
