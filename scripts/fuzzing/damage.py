"""How files are damaged: at any byte, in what they claim, and inside of archives whose checksums stay right."""

import io
import random
import re
import struct
import zipfile
from collections.abc import Callable

EXTREMES = (0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
TEXTS = (b"\x1b[31m", b"\n\n", b"\0", b"\xff", b'"', b"{", b"[" * 200, b"&a [*a]", b"A" * 4000, b"1e999", b"-1", b"nan",
         b"999999999999", b"../../x", b"\xe2\x80\xae", b",", b"!!python/object:os.system ")  # fmt: skip


def _at(data: bytes, rng: random.Random) -> int:
    """Return a place in the data, half of the time near an end, where the heads of formats are."""
    if rng.random() < 0.5:
        edge = rng.randrange(min(len(data), 512))
        return edge if rng.random() < 0.5 else len(data) - 1 - edge
    return rng.randrange(len(data))


def flip(data: bytes, rng: random.Random) -> bytes:
    """Flip one bit."""
    at = _at(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """Write a few bytes of one kind, or any, over others."""
    at, n = _at(data, rng), rng.choice((1, 2, 4, 8, 32))
    new = rng.choice((bytes(n), b"\xff" * n, rng.randbytes(n)))
    return data[:at] + new + data[at + n :]


def extreme(data: bytes, rng: random.Random) -> bytes:
    """Write an extreme number where one may stand."""
    at, (letter, width) = _at(data, rng), rng.choice((("<H", 2), ("<I", 4), ("<Q", 8), (">I", 4)))
    return data[:at] + struct.pack(letter, rng.choice(EXTREMES) % 256**width) + data[at + width :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Leave the end away."""
    return data[: _at(data, rng)]


def take_out(data: bytes, rng: random.Random) -> bytes:
    """Leave some bytes away."""
    at = _at(data, rng)
    return data[:at] + data[at + rng.choice((1, 3, 8, 100)) :]


def twice(data: bytes, rng: random.Random) -> bytes:
    """Put some bytes there twice."""
    at = _at(data, rng)
    return data[: at + rng.choice((1, 4, 16, 200))] + data[at:]


def text(data: bytes, rng: random.Random) -> bytes:
    """Put a text that does harm somewhere in between."""
    at = _at(data, rng)
    return data[:at] + rng.choice(TEXTS) + data[at:]


def number(data: bytes, rng: random.Random) -> bytes:
    """Write another number for one that is written in digits."""
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return flip(data, rng)
    one = rng.choice(found)
    return data[: one.start()] + str(rng.choice((*EXTREMES, 3, 7))).encode() + data[one.end() :]


def word(data: bytes, rng: random.Random) -> bytes:
    """Exchange a word for another of the file's, of the same length where there is one."""
    words = list(re.finditer(rb"[A-Za-z_]{3,}", data))
    if len(words) < 2:
        return flip(data, rng)
    one, other = rng.choice(words), rng.choice(words)
    alike = [w for w in words if len(w[0]) == len(one[0]) and w[0] != one[0]]
    new = rng.choice(alike)[0] if alike and rng.random() < 0.7 else other[0]
    return data[: one.start()] + new + data[one.end() :]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip, overwrite, extreme, cut, take_out, twice, text, number, word,
)  # fmt: skip


def inside(data: bytes, rng: random.Random) -> bytes:
    """Damage a member of an archive and pack it again: its checksum is right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(m, archive.read(m)) for m in archive.infolist()]
    chosen = rng.randrange(len(members))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for k, (member, content) in enumerate(members):
            content = rng.choice(DAMAGES)(content, rng) if k == chosen and content else content
            archive.writestr(member.filename, content)
    return packed.getvalue()


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return damaged data: one to three damages, in an archive half of the time inside of it."""
    if data.startswith(b"PK") and rng.random() < 0.5:
        return inside(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(DAMAGES)(data, rng) if data else data
    return data
