"""Where messages lie on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.cli.mailbox import Found, Unreadable, find, read

ONE = b"From: a@example.com\nSubject: one\n\nfirst text\n"
TWO = b"From: b@example.com\nSubject: two\n\nFrom here on\n>From quoted\nall is text\n"
LINE = b"From a@example.com Tue Nov 17 09:14:31 2026\n"


def contents(*paths: object) -> dict[str, bytes]:
    return {found.name: read(found) for found in find([str(path) for path in paths]) if isinstance(found, Found)}


def test_an_mbox_is_split_at_its_from_lines(tmp_path: Path) -> None:
    """Each message of an mbox is judged on its own, without the From line, and `>From` is unquoted."""
    box = tmp_path / "inbox"
    box.write_bytes(LINE + ONE + b"\n" + LINE + TWO)
    assert contents(box) == {f"{box}#1": ONE + b"\n", f"{box}#2": TWO.replace(b">From", b"From")}


def test_an_unquoted_from_in_a_text_does_not_split_it(tmp_path: Path) -> None:
    """A paragraph that begins with the word From is no new message."""
    box = tmp_path / "inbox"
    box.write_bytes(LINE + ONE + b"\nFrom now on we meet at ten.\n\n" + LINE + TWO)
    assert len(contents(box)) == 2


def test_a_single_message_with_a_from_line_keeps_its_name(tmp_path: Path) -> None:
    """A file that holds one message is called by its path."""
    file = tmp_path / "0001"
    file.write_bytes(LINE + ONE)
    assert contents(file) == {str(file): ONE}


def test_an_mbox_with_crlf_is_split(tmp_path: Path) -> None:
    """Line ends do not matter."""
    box = tmp_path / "inbox"
    box.write_bytes((LINE + ONE + b"\n" + LINE + ONE).replace(b"\n", b"\r\n"))
    assert len(contents(box)) == 2


def test_a_maildir_gives_cur_and_new_and_its_subfolders(tmp_path: Path) -> None:
    """What is still being written in tmp/ is not read; subfolders begin with a dot."""
    for folder in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.host").write_bytes(ONE)
    names = {os.path.relpath(name, tmp_path) for name in contents(tmp_path)}
    assert names == {"cur/1.host", "new/1.host", ".Sent/cur/1.host", ".Sent/new/1.host"}


def test_a_folder_is_read_with_all_below_it_and_without_hidden_files(tmp_path: Path) -> None:
    """Folders are walked in order of names; what begins with a dot is skipped."""
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("b/deep/2.eml", "a.eml", ".hidden"):
        (tmp_path / name).write_bytes(ONE)
    assert [os.path.relpath(name, tmp_path) for name in contents(tmp_path)] == ["a.eml", "b/deep/2.eml"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """A link that leads in a circle ends nothing; a link to a file is read."""
    (tmp_path / "a.eml").write_bytes(ONE)
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "link.eml").symlink_to(tmp_path / "a.eml")
    assert [os.path.basename(name) for name in contents(tmp_path)] == ["a.eml", "link.eml"]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """A missing path and a pipe give a reason each, and stop nothing."""
    (tmp_path / "a.eml").write_bytes(ONE)
    os.mkfifo(tmp_path / "pipe")
    found = list(find([str(tmp_path / "none"), str(tmp_path)]))
    assert found == [
        Unreadable(str(tmp_path / "none"), "no such file or directory"),
        Found(str(tmp_path / "a.eml"), str(tmp_path / "a.eml")),
        Unreadable(str(tmp_path / "pipe"), "not a file or a folder"),
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"From ", b"From a 10:00 x\n", LINE, LINE * 3, b"\nFrom \n"])
def test_every_file_gives_at_least_one_message(tmp_path: Path, content: bytes) -> None:
    """Nothing that lies on disk raises, and no file is lost."""
    file = tmp_path / "odd"
    file.write_bytes(content)
    assert contents(file)


@given(st.lists(st.binary(max_size=60).filter(lambda text: b"From " not in text), min_size=2, max_size=6))
def test_an_mbox_gives_back_what_was_put_in(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]) -> None:
    """Whatever the messages are, joining them into an mbox and reading it gives them back."""
    box = tmp_path_factory.mktemp("mbox") / "box"
    messages = [b"Subject: x\n\n" + body for body in bodies]
    box.write_bytes(b"".join(LINE + message + b"\n\n" for message in messages))
    assert list(contents(box).values()) == [message + b"\n\n" for message in messages]
