"""What is known at each character of any text, by rules that look at characters alone.

Every value is the state after the character has been read. The rules are vectorised over the whole text: each state
since some event is a running maximum of the event's position, each count since then a difference of running sums.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped

from lstm_probe.core.kinds import Kind, Role

NEWLINE, SPACE, TAB = 10, 32, 9
SENTENCE_ENDS = ".!?"
OPENING, CLOSING = "([{", ")]}"


@dataclass(frozen=True, eq=False)
class Track:
    """A signal along a whole text: one value for each character."""

    name: str
    values: Shaped[np.ndarray, " character"]
    kind: Kind
    role: Role
    meaning: str


def code_points(text: str) -> Int[np.ndarray, " character"]:
    """Return each character's number."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)


def among(codes: Int[np.ndarray, " character"], characters: str) -> Bool[np.ndarray, " character"]:
    """Return True where a character is one of these."""
    return np.isin(codes, [ord(c) for c in characters])


def having(codes: Int[np.ndarray, " character"], *properties: str) -> list[Bool[np.ndarray, " character"]]:
    """Return, for each of some of `str`'s own tests such as "isdigit", True where a character passes it."""
    unique, which = np.unique(codes, return_inverse=True)
    return [np.array([getattr(chr(u), name)() for u in unique], bool)[which] for name in properties]


def latest(event: Bool[np.ndarray, " character"]) -> Int[np.ndarray, " character"]:
    """Return the place, up to each character, of the latest event; −1 before the first."""
    return np.maximum.accumulate(np.where(event, np.arange(len(event)), -1))


def before(values: Shaped[np.ndarray, " character"], first: int | bool) -> Shaped[np.ndarray, " character"]:
    """Return each character's predecessor's value."""
    return np.concatenate([[first], values[:-1]])


def line_tracks(codes: Int[np.ndarray, " character"]) -> list[Track]:
    """Return where in its line each character stands."""
    newline = codes == NEWLINE
    blank = (codes == SPACE) | (codes == TAB)
    first = before(newline, True).astype(bool)
    place = np.arange(len(codes)) - latest(first)
    column = np.where(newline, 0, place + 1)
    # The last character that was no blank decides whether the line's text has begun.
    solid = ~blank & ~newline
    indenting = latest(solid) < latest(first)
    begins = solid & before(indenting | newline, True).astype(bool)
    begins |= solid & first
    indentation = np.where(indenting, column, latest(begins) - latest(first))
    indentation = np.where(newline, 0, indentation)
    return [
        Track("column", column, "continuous", "latent", "characters of this line so far; 0 at its end"),
        Track("indentation", indentation, "continuous", "latent", "blanks that this line began with, so far"),
        Track("line_length", column - indentation, "continuous", "latent", "the same as column, without them"),
        Track("line_start", first, "binary", "latent", "1 at the first character of a line"),
    ]


def character_tracks(codes: Int[np.ndarray, " character"]) -> list[Track]:
    """Return what shows in the character itself."""
    digit, upper = having(codes, "isdigit", "isupper")
    return [
        Track("digit", digit, "binary", "nuisance", "1 at a digit"),
        Track("upper_case", upper, "binary", "nuisance", "1 at a capital letter"),
    ]


def quoted(
    both: Bool[np.ndarray, " character"],
    opening: Bool[np.ndarray, " character"],
    closing: Bool[np.ndarray, " character"],
    breaks: Bool[np.ndarray, " character"],
) -> Bool[np.ndarray, " character"]:
    """Return True where a quotation is open.

    Args:
        both: marks that open where nothing is open and close where something is.
        opening: marks that only open.
        closing: marks that only close.
        breaks: places that close everything.
    """
    anchor = latest(opening | closing | breaks)
    marks = np.concatenate([[0], np.cumsum(both)])
    since = marks[1:] - marks[anchor + 1]
    opened = np.where(anchor >= 0, opening[np.maximum(anchor, 0)], False)
    inside: np.ndarray = (since + opened) % 2 == 1
    return inside


def depth(
    codes: Int[np.ndarray, " character"], opening: str, closing: str, breaks: Bool[np.ndarray, " character"]
) -> Int[np.ndarray, " character"]:
    """Return how many brackets are open; a closing one where none is open counts for nothing."""
    steps = among(codes, opening).astype(np.int64) - among(codes, closing)
    steps[breaks] = 0
    total, part = np.cumsum(steps), np.cumsum(breaks)
    # Reckoned from each break on, and each part put far below the last, so that one running minimum does for all.
    start = latest(breaks)
    own = total - np.where(start >= 0, total[np.maximum(start, 0)], 0)
    far = 2 * len(codes) + 2
    lowest = np.minimum.accumulate(own - part * far) + part * far
    open_now: np.ndarray = own - np.minimum(lowest, 0)
    return open_now


def text_tracks(text: str) -> list[Track]:
    """Return every signal of a text.

    A quotation or a bracket that nobody closes ends with its paragraph, at a blank line. A single quotation mark
    between two letters or digits is an apostrophe.
    """
    codes = code_points(text)
    here = np.arange(len(codes))
    newline = codes == NEWLINE
    breaks = newline & before(newline, False).astype(bool)
    word = having(codes, "isalnum")[0] | (codes == ord("_"))
    word_before = before(word, False).astype(bool)
    apostrophe = word_before & np.concatenate([word[1:], [False]])
    double = quoted(among(codes, '"'), among(codes, "“„"), among(codes, "”"), breaks)
    single = quoted(among(codes, "'") & ~apostrophe, among(codes, "‘"), among(codes, "’") & ~apostrophe, breaks)
    brackets, parentheses = depth(codes, OPENING, CLOSING, breaks), depth(codes, "(", ")", breaks)
    ends = among(codes, SENTENCE_ENDS) | breaks
    return [
        Track("in_quotes", double, "binary", "latent", "1 while a double quotation is open"),
        Track("in_single_quotes", single, "binary", "latent", "1 while a single quotation is open"),
        Track("in_brackets", brackets > 0, "binary", "latent", "1 while a bracket of any kind is open"),
        Track("brackets", brackets, "continuous", "latent", "how many brackets of any kind are open"),
        Track("parentheses", parentheses, "continuous", "latent", "how many ( are open"),
        *line_tracks(codes),
        Track("sentence", here - latest(ends), "continuous", "latent",
              "characters since the last . ! ? or blank line"),
        Track("word_place", np.where(word, here - latest(~word), 0), "continuous", "latent",
              "letters and digits of this word so far; 0 outside"),
        Track("word_start", word & ~word_before, "binary", "latent", "1 at the first character of a word"),
        Track("in_word", word, "binary", "nuisance", "1 at a letter or digit"),
        *character_tracks(codes),
    ]  # fmt: skip
