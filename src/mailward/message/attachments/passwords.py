"""Words of a message that may open the file it carries."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from mailward.message.attachments import limits

_ANNOUNCED = re2.compile(
    r"(?i)pass\s?(?:word|code|phrase)|\bpasswd?\b|\bpwd\b|\bpin\b|\bpass\b|access code|passwort|kennwort|zugangscode|mot de passe|code d.acc[eè]s"
    r"|contrase[nñ]a|clave|senha|palavra-passe|wachtwoord|l[oö]senord|adgangskode|passord|salasana|has[lł]o|heslo|jelsz[oó]|parol[ae]|[sş]ifre"
    r"|пароль|гасло|κωδικ[οό]ς|סיסמ[הא]|كلمة (?:المرور|السر)|密码|密碼|口令|解压码|暗証番号|パスワード|암호|비밀번호|รหัสผ่าน|mật khẩu|kata sandi"
)
_BEHIND, _BEFORE = 100, 40  # characters around such a word
_TOKEN = re2.compile(r"[^\s:：=,，、「」『』“”«»„<>]{3,64}")
_PRINTABLE = re2.compile(r"[!-~]{3,64}")
_QUOTES = "\"'`()[]{}.,;:。・"
_STRIPPED = _QUOTES + "!?*"  # may belong to it
_LIKELY = re2.compile(r"[0-9]")
_USUAL = ("1234", "12345", "123456", "infected", "password")
_TEXT_CHARS = 20_000  # of a message; the password stands with the words to a person


def candidates(text: str) -> tuple[str, ...]:
    """At most limits.PASSWORDS words: those near the word for password in many languages, those with a digit, the usual ones."""
    return tuple(dict.fromkeys(filter(None, _all(text[:_TEXT_CHARS]))))[: limits.PASSWORDS]


def _all(text: str) -> Iterator[str]:
    announced = list(_ANNOUNCED.finditer(text))[:10]
    for m in announced:
        yield from _words(text[m.end() : m.end() + _BEHIND], 8)
    for m in announced:
        before = list(_words(text[max(0, m.start() - _BEFORE) : m.start()], 20))
        yield from reversed(before)
    yield from _USUAL
    yield from (word for word in _words(text, 2_000) if _LIKELY.search(word))


def _words(text: str, most: int) -> Iterator[str]:
    for pattern in (_TOKEN, _PRINTABLE):
        for m, _ in zip(pattern.finditer(text), range(most), strict=False):
            yield from (m.group(0).strip(_QUOTES), m.group(0).strip(_STRIPPED), m.group(0))
