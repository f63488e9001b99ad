"""What goes wrong through no fault of the program."""

from collections.abc import Sequence
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input from the user: one short line per problem, each naming the key, the value and what is legal.

    The command line prints the problems and exits with code 2, without a traceback.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def nearest(word: str, legal: Sequence[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the legal word nearest to `word`, or an empty string.

    >>> nearest("trackng", ["dyck1", "tracking"])
    " Did you mean 'tracking'?"
    """
    close = get_close_matches(word, legal, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
