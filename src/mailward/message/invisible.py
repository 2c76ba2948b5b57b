"""Characters that take no room on the screen."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e01ef\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]+"
)
_SHAPING = frozenset("\u200c\u200d\u200e\u200f\ufe0e\ufe0f\u061c")
_CONTROLS = bytes(sorted({*range(32), 127} - set(b"\t\n\x0c\r")))


def strip(text: str) -> tuple[str, int]:
    """Remove invisible characters; returns the text and how many there were.

    Joiners and marks that scripts or emoji need (after a character beyond Latin) are removed but not counted.
    """
    if text.isascii():
        data = text.encode("ascii")
        clean = data.translate(None, _CONTROLS)
        return (text if len(clean) == len(data) else clean.decode("ascii")), 0
    out: list[str] = []
    at = count = 0
    for m in _INVISIBLE.finditer(text):
        out.append(text[at : m.start()])
        run = m[0]
        before = text[m.start() - 1] if m.start() else ""
        if not (len(run) <= 2 and run[0] in _SHAPING and before > "\u02ff") and not (run == "\ufeff" and not m.start()):
            count += sum(1 for c in run if c > "\x9f" and not "\ud800" <= c <= "\udfff") if len(run) < 1000 else len(run)
        at = m.end()
    if not at:
        return text, 0
    out.append(text[at:])
    return "".join(out), count
