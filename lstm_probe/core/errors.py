"""What goes wrong through no fault of the program."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

#: Characters of a name from a file that are shown, and of a line that quotes such names.
LONGEST_NAME, LONGEST_LINE = 300, 1000


def clean(text: str, most: int | None = LONGEST_NAME, keep: str = "") -> str:
    r"""Return a name or text that came from a file, fit for terminal and page.

    Control characters, marks that turn the direction of writing, lone surrogates and the like become escapes.

    Args:
        text: whatever a file says.
        most: what is longer loses its middle; None for no limit.
        keep: characters that stay although they are control characters, such as a line break.

    >>> clean("a\x1b[31mb\n"), clean("x" * 9, most=5)
    ('a\\x1b[31mb\\n', 'xx…xx')
    """
    text = _cut(text, most)
    if not text.isprintable():
        text = _cut("".join(_escaped(c) if c not in keep and _is_control(c) else c for c in text), most)
    return text


def _cut(text: str, most: int | None) -> str:
    if most is None or len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def _is_control(character: str) -> bool:
    # The two joiners are part of how some languages are written.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\u200c\u200d"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def clean_line(line: str) -> str:
    """Return a sentence as one line, without control characters, in which no word is longer than a name may be."""
    words = [clean(word) for word in line.split(" ")] if len(line) > LONGEST_NAME else [line]
    return clean(" ".join(words), LONGEST_LINE)


class InputError(ValueError):
    """Bad input from the user: one short line per problem, each naming the key, the value and what is legal.

    The command line prints the problems and exits with code 2, without a traceback. A problem may quote names from
    files as they are: they are cleaned here.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(map(clean_line, problems))
        super().__init__("\n".join(self.problems))


class NothingThereError(InputError):
    """The data or the network have nothing that an analysis looks at; nothing is wrong with how it was asked."""


def nearest(word: str, legal: Sequence[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the legal word nearest to `word`, or an empty string.

    >>> nearest("trackng", ["dyck1", "tracking"])
    " Did you mean 'tracking'?"
    """
    close = get_close_matches(word, legal, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
