"""Letters of other scripts that pass for Latin ones: folded inside words that also hold Latin letters, counted otherwise nowhere."""

from __future__ import annotations

import re

# Cyrillic, Greek, Armenian, IPA and Latin-extended letters that a person reads as the Latin letter (Unicode TS 39, lower case only).
_PAIRS = (
    "аa еe оo рp сc хx уy іi јj ѕs ԁd ԛq ԝw һh ӏl вb кk мm нh тt "
    "αa οo ρp νv υu κk ιi τt ηn ωw γy χx εe "
    "օo սu ցg հh ոn զq ɑa ɡg ɩi ɪi ʏy ᴀa ʙb ᴄc ᴅd ᴇe ɢg ʜh ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ᴢz ɾr ʋv ɯw "
    "ƅb ɓb ɗd ɛe ɠg ɦh ɨi ƙk ɱm ɲn ƥp ʠq ʂs ƭt ʉu ʐz ıi ɵo øo łl đd ħh"
)
LOOKALIKES = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
_SET = "".join(map(chr, LOOKALIKES))
_MIXED = re.compile(f"[a-z][{_SET}]|[{_SET}][a-z]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[a-z]")
_FOREIGN = re.compile(f"[{''.join(c for c in _SET if c > chr(0x24F))}]")


def folded(text: str) -> str:
    """Return lower-case text with look-alikes replaced in words that mix them with Latin letters."""
    if text.isascii() or not _MIXED.search(text):
        return text
    return _WORD.sub(lambda m: m.group().translate(LOOKALIKES) if _LATIN.search(m.group()) else m.group(), text)


def mixed_words(text: str) -> int:
    """How many words of lower-case text mix Latin letters with look-alikes of another script."""
    if text.isascii() or not _MIXED.search(text):
        return 0
    return sum(1 for m in _WORD.finditer(text) if _LATIN.search(m.group()) and _FOREIGN.search(m.group()))
