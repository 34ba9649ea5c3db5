"""How numbers and bytes are spelt in transparency-log formats, one spelling for each."""

from __future__ import annotations

import base64
import binascii
import re

from ledger.errors import BadNote

# Sizes, indices and times are signed 64-bit integers in everybody's implementation.
MAX_INTEGER = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def from_decimal(text: str) -> int:
    """Read a number of 63 bits without sign or leading zeroes, in ASCII digits.

    Raises
    ------
    BadNote
        If it is anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_INTEGER:
        raise BadNote(f"{text!r} is not a decimal number of 63 bits")
    return int(text)


def from_base64(text: str) -> bytes:
    """Decode RFC 4648 base64, section 4, refusing all but the one canonical spelling.

    Raises
    ------
    BadNote
        If it is anything else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadNote(f"{text!r} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote(f"{text!r} is not canonical base64")
    return data
