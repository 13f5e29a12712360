"""The text in a file's bytes, whichever program wrote it.

    decode(data, "mine.txt")    the text; ValueError says which byte is none, and what to do

UTF-8 is read, with a byte order mark or without, and UTF-16 and UTF-32 where a byte order mark says
so, as editors on Windows write them. The mark is no part of the text. Line ends stay as they are: a
text is named by its SHA-256, which is the file's own where that is UTF-8 without a mark.
"""

import codecs

MARKS = (  # UTF-32's before UTF-16's, as one begins with the other
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LOOKED_AT = 10_000  # bytes, to guess an encoding
NOT_WINDOWS = b"\x81\x8d\x8f\x90\x9d"  # the bytes that Windows-1252 has no character for


def decode(data: bytes, name: str = "It") -> str:
    """The text in these bytes, without a byte order mark. ValueError, with the name."""
    mark, coding = mark_of(data)
    try:
        text = data[len(mark) :].decode(coding)
    except UnicodeDecodeError as error:
        at, kind = len(mark) + error.start, coding[:6].rstrip("-").upper()
        raise ValueError(
            f"{name} is not {kind} text: byte {at:,}, {data[at]:#04x}, cannot be read. "
            + _guess(data, at, coding)
        ) from None
    if (end := text.find("\0")) >= 0:
        at = len(mark) + len(text[:end].encode(coding))
        raise ValueError(f"{name} is not text: byte {at:,} is 0, which no text has. {_zero(data)}")
    return text


def mark_of(head: bytes) -> tuple[bytes, str]:
    """The byte order mark that a file begins with, or b"", and the encoding."""
    return next(((m, c) for m, c in MARKS if head.startswith(m)), (b"", "utf-8"))


def _guess(data: bytes, at: int, coding: str) -> str:
    """A guess at the encoding of bytes that cannot be decoded."""
    if coding != "utf-8" or at >= len(data) - 3 and 0xC2 <= data[at] <= 0xF4:
        return "It ends within a character: it was cut short, or is damaged."
    looked = data[:LOOKED_AT]
    high = sum(byte > 127 for byte in looked)
    if high < 0.3 * len(looked) and not any(byte in NOT_WINDOWS for byte in looked):
        return "It looks like Windows-1252 or Latin-1. Save it as UTF-8 and try again."
    return "Save it as UTF-8 and try again."


def _zero(data: bytes) -> str:
    looked = data[:LOOKED_AT]
    zeros = [looked[first::2].count(0) for first in (0, 1)]
    if max(zeros) > 0.4 * (len(looked) // 2) and min(zeros) < 0.1 * (len(looked) // 2):
        return (
            "It looks like UTF-16 without a byte order mark. Save it as UTF-8, or as UTF-16 with "
            "the mark, and try again."
        )
    return "Is it the right file?"
