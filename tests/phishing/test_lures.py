"""Lures are found in every language, at the start of words only, and in one pass however long the text."""

import time

import pytest

from mailward.phishing.lures import lures


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("account", "dear customer, your account has been limited"),
        ("account", "ihr konto wurde vorübergehend gesperrt"),
        ("account", "votre compte a été suspendu"),
        ("account", "su cuenta ha sido bloqueada"),
        ("account", "sua conta foi bloqueada"),
        ("account", "il tuo conto verrà chiuso"),
        ("account", "uw rekening is geblokkeerd"),
        ("account", "ご本人確認のお願い"),
        ("account", "ваш аккаунт будет удалён"),
        ("account", "我们检测到您的账户异常"),
        ("mailbox", "your mailbox is full and 7 pending messages wait"),
        ("mailbox", "您的邮箱即将停用"),
        ("parcel", "ihr paket wartet auf die zollgebühr"),
        ("giftcard", "i need you to buy a steam card"),
        ("tax", "la agencia tributaria le informa"),
        ("extortion", "i have access to your device and a compromising video"),
        ("wallet", "enter your recovery phrase to keep your wallet"),
    ],
)
def test_lures_of_many_languages_are_found(kind, text):
    """One text of every kind, in the languages of the list."""
    assert kind in lures(text)


@pytest.mark.parametrize("text", ["", "hello ben, see you on tuesday. ann", "firstly, the circuit is fine", "\udcff\ud800"])
def test_ordinary_words_are_no_lure(text):
    """Phrases begin at the start of a word ("irs" is not in "firstly"), and broken text harms nobody."""
    assert lures(text) == {}


def test_letters_that_only_look_alike_hide_nothing():
    """Cyrillic letters within a Latin word are read as a person reads them."""
    assert "account" in lures("vеrify your аccоunt")


def test_long_text_takes_linear_time():
    """A megabyte of half-matching text is searched well within a second."""
    started = time.process_time()
    lures("your account will your mailbox " * 30_000)
    assert time.process_time() - started < 1.0
