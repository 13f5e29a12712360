"""What follows the # of a link: base64url, of deflated bytes where there may be many.

Anyone may have written it. The message of a ValueError goes on from "The link ".
"""

import base64
import re
import zlib

MAX_LINK = 16_384  # characters


def fragment_of(link: str) -> str:
    """The fragment of an address; all of a text that has no #. ValueError if it is too long."""
    fragment = link.strip().rpartition("#")[2]
    if len(fragment) > MAX_LINK:
        raise ValueError(f"has {len(fragment):,} characters; none has more than {MAX_LINK:,}.")
    return fragment


def base64url(data: bytes) -> str:
    """Bytes as letters, digits, - and _."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The reverse. ValueError."""
    if strange := re.search("[^A-Za-z0-9_-]", text):
        raise ValueError(
            f"has {strange[0]!r} at character {strange.start():,} of its data, which no link has. "
            "Did all of it arrive, and nothing else?"
        )
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except ValueError as error:
        raise ValueError(f"is cut short or damaged: {error}.") from None


def pack(data: bytes) -> str:
    """Base64url of deflated bytes."""
    return base64url(zlib.compress(data, 9))


def unpack(text: str, most: int) -> bytes:
    """The reverse; never more than `most` bytes. ValueError."""
    packed, unzip = from_base64url(text), zlib.decompressobj()
    try:
        data = unzip.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(f"is cut short or damaged: {error}.") from None
    if len(data) > most:
        raise ValueError(f"unpacks to more than the {most:,} bytes that it may have.")
    if not unzip.eof or unzip.unused_data:
        raise ValueError("is cut short or damaged: its packed data does not end where it should.")
    return data
