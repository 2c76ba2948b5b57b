"""Office documents that are locked with a password (MS-OFFCRYPTO): opened with words of the message by msoffcrypto."""

from __future__ import annotations

from io import BytesIO

import re2

from mailward.message.attachments import limits
from mailward.message.attachments.gathering import Gathering

_BY_ITSELF = "VelvetSweatshop"  # Excel tries this and asks nobody
_TURNS = re2.compile(rb"spinCount=\"(\d{1,12})\"")  # of the digest, which make each try slow


def opened(content: bytes, info: bytes, gathered: Gathering) -> bytes:
    """The document without its lock; b"" where no word fits, or a try would take too long. `info` is its stream EncryptionInfo."""
    if len(content) > limits.ENTRY_BYTES or any(int(m.group(1)) > limits.OFFICE_TURNS for m in _TURNS.finditer(info)):
        return b""
    from msoffcrypto import OfficeFile  # few messages need it, and it takes as long to load as everything else
    from msoffcrypto.exceptions import InvalidKeyError

    words = list(dict.fromkeys((_BY_ITSELF, *gathered.passwords)))[: limits.OFFICE_PASSWORDS]
    for word in words:
        if gathered.late():
            return b""
        out = BytesIO()
        try:
            document = OfficeFile(BytesIO(content))
            document.load_key(word)  # where that does not tell, what comes out is no zip archive
            document.decrypt(out)
        except InvalidKeyError:
            continue
        except Exception:  # what it does not know, or is damaged: its errors are of every class
            return b""
        return out.getvalue()
    return b""
