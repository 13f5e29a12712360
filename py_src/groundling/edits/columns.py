"""Columns of a line, as an editor in a browser counts them: in UTF-16 code units, from 0."""


def units(text: str) -> int:
    """How many UTF-16 code units a text has."""
    return len(text) + sum(character > "\uffff" for character in text)


def index(text: str, at: int) -> int:
    """The index in a str of a place that is counted in UTF-16 code units."""
    if text.isascii():
        return max(0, min(at, len(text)))
    data = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, at)]
    return len(data.decode("utf-16-le", "replace"))


def characters(text: str, column: int) -> int:
    """How many characters stand before a column that is counted in bytes of UTF-8, as in `ast`."""
    return len(text.encode("utf-8", "replace")[:column].decode("utf-8", "ignore"))


def from_bytes(text: str, column: int) -> int:
    """The column that Python counts in bytes of UTF-8."""
    return units(text[: characters(text, column)])


def whole(text: str) -> tuple[int, int]:
    """The columns of all that is on a line but the blanks around it."""
    start = len(text) - len(text.lstrip())
    return start, max(start + 1, units(text.rstrip()))
