"""The vault on a real disk, with real processes that press and die at the same time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from mailward.message.model import Envelope
from mailward.quarantine import AlreadyDecided, Held, InterruptedRelease, NotHeld, NotSent, State, Vault

RAW = b"From: a@example.com\r\nSubject: x\r\n\r\nline\r\n.dot\r\n\x00\xff binary stays\r\n"
ENVELOPE = Envelope(client_ip="192.0.2.1", helo="mail.example.com", mail_from="", rcpt_to=("b@example.org", "c@example.org"), way_in="smtp")
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "quarantine")


def held(vault: Vault, id: str = "m1") -> str:
    return vault.hold(RAW, ENVELOPE, id, subject="x", verdict="spam", filter="content_scanning", reason="because")


def nothing(_held: Held, _raw: bytes) -> None:
    """Deliver to nobody."""


def states(vault: Vault, id: str) -> list[str]:
    return [folder.name for folder in vault.folder.iterdir() if (folder / f"{id}.msg").exists()]


def test_held_message_comes_back_byte_for_byte(vault: Vault) -> None:
    """Message and envelope are what was given, the null sender and binary octets included."""
    held(vault)
    entry = vault.show("m1")
    assert vault.raw("m1") == RAW
    assert entry.state is State.HELD
    assert entry.held is not None
    assert (entry.held.mail_from, entry.held.rcpt_to, entry.held.client_ip) == ("", ("b@example.org", "c@example.org"), "192.0.2.1")
    assert (entry.held.subject, entry.held.reason, entry.held.size) == ("x", "because", len(RAW))
    assert [e.id for e in vault.list()] == ["m1"]


def test_only_the_owner_may_read(vault: Vault) -> None:
    """Files are 0600 and folders 0700."""
    held(vault)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in vault.folder.rglob("*")}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes


def test_file_and_folder_are_synced_before_hold_returns(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's content is synced before it appears in held/, the folder afterwards."""
    vault.prepare()
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, (vault.folder / "held" / "m1.msg").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    held(vault)
    assert [(name.split(".")[0], there) for name, there in seen] == [("m1", False), ("held", True)]


def test_an_id_is_taken_once(vault: Vault) -> None:
    """A second message of the same id is refused and the first stays as it was."""
    held(vault)
    with pytest.raises(FileExistsError):
        vault.hold(b"other", ENVELOPE, "m1")
    assert vault.raw("m1") == RAW
    assert list((vault.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("id", ["../m1", "a/b", "", ".", "..", "m1.msg", "m1\n", "\0", "-m1", "x" * 101, "é"])
def test_an_id_cannot_leave_the_folder(vault: Vault, id: str) -> None:
    """Whatever is not letters, digits, dash and underscore is no id for any call."""
    held(vault)
    for call in (vault.show, vault.raw, vault.delete, lambda i: vault.release(i, nothing), lambda i: vault.hold(b"", ENVELOPE, i)):
        with pytest.raises(NotHeld):
            call(id)


def test_release_sends_once_and_keeps_the_message(vault: Vault) -> None:
    """After a release the message is `released`, and another release or a deletion is refused with that word."""
    held(vault)
    sent: list[bytes] = []
    vault.release("m1", lambda _h, raw: sent.append(raw))
    for call in (lambda: vault.release("m1", nothing), lambda: vault.delete("m1"), lambda: vault.release("m1", nothing, again=True)):
        with pytest.raises(AlreadyDecided, match="released"):
            call()
    assert sent == [RAW]
    assert states(vault, "m1") == ["released"]
    assert vault.raw("m1") == RAW


def test_a_release_that_was_refused_holds_the_message_again(vault: Vault) -> None:
    """`NotSent` from the sender puts the message back, and the next try may succeed."""
    held(vault)

    def refuse(_held: Held, _raw: bytes) -> None:
        raise NotSent("550 no such user")

    with pytest.raises(NotSent):
        vault.release("m1", refuse)
    assert states(vault, "m1") == ["held"]
    vault.release("m1", nothing)
    assert states(vault, "m1") == ["released"]


def test_ten_processes_press_release_at_once_and_one_sends(vault: Vault, tmp_path: Path) -> None:
    """Of any number of people pressing at the same time exactly one delivers; nobody leaves it stuck."""
    log = tmp_path / "sent"
    for round in range(10):
        id = f"r{round}"
        held(vault, id)
        start = FORK.Event()

        def press(id: str = id, start: object = start) -> None:
            start.wait()  # type: ignore[attr-defined]
            try:
                vault.release(id, lambda h, _raw: _append(log, h.id))
            except AlreadyDecided:
                os._exit(3)
            os._exit(0)

        processes = [FORK.Process(target=press) for _ in range(10)]
        for process in processes:
            process.start()
        start.set()
        for process in processes:
            process.join(20)
        assert sorted(p.exitcode or 0 for p in processes) == [0] + [3] * 9
        assert states(vault, id) == ["released"]
    assert sorted(log.read_text().split()) == sorted(f"r{n}" for n in range(10))


def test_a_release_cut_short_by_kill_is_shown_and_needs_again(vault: Vault) -> None:
    """A releaser killed while sending leaves `releasing`; a second plain release refuses, `again` delivers."""
    held(vault)
    sending = FORK.Event()

    def hang(_held: Held, _raw: bytes) -> None:
        sending.set()
        time.sleep(60)

    process = FORK.Process(target=lambda: vault.release("m1", hang))
    process.start()
    assert sending.wait(10)
    with pytest.raises(AlreadyDecided, match="right now"):
        vault.release("m1", nothing)
    with pytest.raises(AlreadyDecided, match="right now"):
        vault.release("m1", nothing, again=True)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert [e.state for e in vault.list()] == [State.RELEASING]
    with pytest.raises(InterruptedRelease, match="--again"):
        vault.release("m1", nothing)
    sent: list[bytes] = []
    vault.release("m1", lambda _h, raw: sent.append(raw), again=True)
    assert sent == [RAW]
    assert states(vault, "m1") == ["released"]


def test_delete_leaves_the_header_line_only(vault: Vault) -> None:
    """The body is gone from the disk, the list still says what it was."""
    held(vault)
    vault.delete("m1")
    entry = vault.show("m1")
    assert entry.state is State.DELETED
    assert entry.held is not None
    assert entry.held.subject == "x"
    assert not entry.defect
    assert b"binary stays" not in (vault.folder / "deleted" / "m1.msg").read_bytes()
    assert vault.list() == ()
    with pytest.raises(NotHeld, match="body is gone"):
        vault.raw("m1")
    with pytest.raises(AlreadyDecided, match="deleted"):
        vault.release("m1", nothing)


def test_expire_takes_only_what_is_old(vault: Vault) -> None:
    """Held messages past the days expire without a body; decided ones are forgotten; an interrupted release stays."""
    for id in ("old", "new", "done", "stuck"):
        held(vault, id)
    vault.release("done", nothing)
    (vault.folder / "held" / "stuck.msg").rename(vault.folder / "releasing" / "stuck.msg")
    past = time.time() - 31 * 86400
    for path in ("held/old", "released/done", "releasing/stuck"):
        os.utime(vault.folder / f"{path}.msg", (past, past))
    assert vault.expire(30) == (1, 1)
    assert {id: states(vault, id) for id in ("old", "new", "done", "stuck")} == {
        "old": ["expired"],
        "new": ["held"],
        "done": [],
        "stuck": ["releasing"],
    }
    assert b"binary stays" not in (vault.folder / "expired" / "old.msg").read_bytes()


def test_damaged_and_foreign_files_are_reported_not_fatal(vault: Vault) -> None:
    """A truncated message, a file of somebody else, a link and a folder are listed with what is wrong; the good one works."""
    for id in ("good", "cut", "empty", "alien"):
        held(vault, id)
    folder = vault.folder / "held"
    os.truncate(folder / "cut.msg", (folder / "cut.msg").stat().st_size - 5)
    os.truncate(folder / "empty.msg", 0)
    (folder / "alien.msg").write_bytes(b"From: x\r\n\r\nnot ours\n")
    (folder / "renamed.msg").write_bytes((folder / "good.msg").read_bytes())
    (folder / "notes.txt").write_text("mine")
    (folder / "link.msg").symlink_to("/etc/passwd")
    (folder / "sub.msg").mkdir()
    defects = {entry.id: entry.defect for entry in vault.list()}
    assert defects.pop("good") == ""
    assert sorted(defects) == ["alien", "cut", "empty", "link.msg", "notes.txt", "renamed", "sub.msg"]
    assert all(defects.values())
    sent: list[bytes] = []
    for id in ("cut", "empty", "alien"):
        with pytest.raises((NotHeld, ValueError)):
            vault.release(id, lambda _h, raw: sent.append(raw))
        assert states(vault, id) == ["held"]
    vault.release("good", lambda _h, raw: sent.append(raw))
    assert sent == [RAW]
    vault.expire(0)


def test_leftovers_of_dead_writers_are_removed(vault: Vault) -> None:
    """A file in tmp/ older than an hour goes, a fresh one may belong to a living writer and stays."""
    vault.prepare()
    for name, age in (("old.1", 4000), ("new.1", 0)):
        path = vault.folder / "tmp" / name
        path.write_bytes(b"")
        os.utime(path, (time.time() - age,) * 2)
    Vault(vault.folder).prepare()
    assert [path.name for path in (vault.folder / "tmp").iterdir()] == ["new.1"]


def _append(path: Path, id: str) -> None:
    with path.open("a") as file:
        file.write(id + "\n")
