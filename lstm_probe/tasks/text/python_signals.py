"""What is known at each character of Python source, by the `tokenize` module of the Python that runs."""

import io
import keyword
import tokenize

import numpy as np

from lstm_probe.tasks.text.signals import Track, character_tracks, code_points, line_tracks

#: From Python 3.12 on an f-string comes in pieces, with the tokens of its expressions between them.
_PIECES = {getattr(tokenize, f"FSTRING_{part}", None): by for part, by in (("START", 1), ("END", -1))}
_CHANGES = ("brackets", "blocks")
_FLAGS = ("in_string", "in_long_string", "in_comment", "in_keyword", "in_identifier", "in_number", "token_start")

_MEANINGS = {
    "in_string": "1 from a string's opening quote to before its last one",
    "in_long_string": "1 in a string in triple quotes, from the opening ones to before the last",
    "in_comment": "1 from # to the end of the line",
    "in_keyword": "1 at a character of a keyword",
    "in_identifier": "1 at a character of a name that is no keyword",
    "in_number": "1 at a character of a number",
    "token_start": "1 at the first character of a name, number, operator, string or comment",
    "brackets": "how many ( [ { are open, not counting those in strings and comments",
    "blocks": "how many indented blocks are open",
}


class NotPythonError(ValueError):
    """Source that does not tokenize; says why and in which line."""


class _Marks:
    """The arrays that tokens are marked in: flags at characters, and changes of a count at a character."""

    def __init__(self, text: str) -> None:
        self.arrays = {name: np.zeros(len(text) + 1, np.int16) for name in (*_FLAGS, *_CHANGES)}
        lengths = [len(line) for line in text.split("\n")]
        self.lines = np.concatenate([[0], np.cumsum(np.add(lengths, 1))])
        self.size = len(text)

    def at(self, place: tuple[int, int]) -> int:
        """Return the character at a token's (line, column), lines counted from 1; the text's end at most."""
        line = min(place[0] - 1, len(self.lines) - 1)
        return min(int(self.lines[line]) + place[1], self.size)

    def flag(self, name: str, start: int, end: int) -> None:
        """Mark the characters from `start` to before `end`."""
        self.arrays[name][start:end] = 1

    def string(self, opening: str, start: int, end: int) -> None:
        """Mark a string literal that begins with `opening`, its letters included."""
        quotes = opening.lstrip("rRbBuUfFtT")
        start += len(opening) - len(quotes)
        self.flag("in_string", start, end - 1)
        if quotes[:3] in ('"""', "'''"):
            self.flag("in_long_string", start, end - 1)

    def token(self, kind: int, string: str, start: int, end: int) -> None:
        """Mark one token outside f-strings' expressions."""
        if kind == tokenize.INDENT:
            self.arrays["blocks"][end] += 1
        elif kind == tokenize.DEDENT:
            self.arrays["blocks"][start] -= 1
        elif kind in (tokenize.NAME, tokenize.NUMBER, tokenize.OP, tokenize.STRING, tokenize.COMMENT):
            self.flag("token_start", start, start + 1)
        if kind == tokenize.NAME:
            self.flag("in_keyword" if keyword.iskeyword(string) else "in_identifier", start, end)
        elif kind == tokenize.NUMBER:
            self.flag("in_number", start, end)
        elif kind == tokenize.STRING:
            self.string(string, start, end)
        elif kind == tokenize.COMMENT:
            self.flag("in_comment", start, end)
        elif kind == tokenize.OP and string in "([{":
            self.arrays["brackets"][start] += 1
        elif kind == tokenize.OP and string in ")]}":
            self.arrays["brackets"][start] -= 1


def _mark(text: str) -> dict[str, np.ndarray]:
    marks = _Marks(text)
    outer, within = ("", 0), 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = marks.at(token.start), marks.at(token.end)
        if token.type == tokenize.ERRORTOKEN:
            rest = token.line[token.start[1] :].strip()
            raise NotPythonError(f"{rest[:20]!r} in line {token.start[0]} is no token")
        if token.type in _PIECES:
            if within == 0:
                outer = token.string, start
                marks.flag("token_start", start, start + 1)
            within += _PIECES[token.type]
            if within == 0:
                marks.string(*outer, end)
        elif within == 0:
            marks.token(token.type, token.string, start, end)
    arrays = {name: values[: marks.size] for name, values in marks.arrays.items()}
    return arrays | {name: np.cumsum(arrays[name]) for name in _CHANGES}


def token_marks(text: str) -> dict[str, np.ndarray]:
    """Return, for each name of `_MEANINGS`, its value at each character of a whole file.

    Args:
        text: lines end with a line feed alone.

    Raises:
        NotPythonError: it does not tokenize.
    """
    try:
        return _mark(text)
    except tokenize.TokenError as error:
        raise NotPythonError(f"{error.args[0]} in line {error.args[1][0]}") from None
    except SyntaxError as error:  # indentation that fits no block
        raise NotPythonError(f"{error.msg} in line {error.lineno}") from None


def python_tracks(text: str, marks: dict[str, np.ndarray]) -> list[Track]:
    """Return every signal of Python source.

    Args:
        text: one file, or several in a row.
        marks: what `token_marks` returns, those of several files in a row.
    """
    codes = code_points(text)
    inside = marks["in_string"] > 0
    here = np.arange(len(codes))
    since = np.where(inside, here - np.maximum.accumulate(np.where(inside, -1, here)), 0)
    flags = [Track(name, marks[name], "binary", "latent", _MEANINGS[name]) for name in _FLAGS]
    return [
        *flags,
        Track("string_length", since, "continuous", "latent", "characters of this string so far; 0 outside"),
        Track("in_brackets", marks["brackets"] > 0, "binary", "latent", "1 while a bracket is open"),
        *(Track(name, marks[name], "continuous", "latent", _MEANINGS[name]) for name in _CHANGES),
        *line_tracks(codes),
        *character_tracks(codes),
    ]
