"""Host settings from mailward.toml."""

from pathlib import Path

import pytest

from mailward.gateway import Settings, SettingsError
from mailward.gateway.settings import host_and_port
from mailward.policy.rendering import settings


def written(tmp_path, text) -> Path:
    path = tmp_path / "mailward.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file(tmp_path, monkeypatch):
    """Loopback, SQLite in ./.state, nothing to hand mail on to."""
    monkeypatch.chdir(tmp_path)
    loaded = Settings.load()
    assert (loaded.smtp.listen, loaded.smtp.next_hop, loaded.workers) == ("127.0.0.1:2525", "", 0)
    assert loaded.state_folder == tmp_path / ".state"
    assert loaded.storage_url == f"sqlite:///{tmp_path}/.state/mailward.db"
    assert loaded.quarantine_folder == tmp_path / ".state" / "quarantine"


def test_the_file_of_the_folder_is_taken(tmp_path, monkeypatch):
    """mailward.toml where mailward is started; folders are looked for beside the file."""
    written(tmp_path, 'workers = 3\n[state]\nfolder = "var"\n[storage]\nurl = "sqlite:///db/x.db"\n')
    monkeypatch.chdir(tmp_path)
    loaded = Settings.load()
    assert (loaded.workers, loaded.state_folder, loaded.database) == (3, tmp_path / "var", tmp_path / "db" / "x.db")


def test_the_state_folder_of_the_command_line_wins(tmp_path):
    """--state is relative to where it is typed, not to the file."""
    path = written(tmp_path, '[state]\nfolder = "var"\n[smtp]\nnext_hop = "[::1]:25"\n')
    loaded = Settings.load(path, tmp_path / "other")
    assert loaded.state_folder == tmp_path / "other"
    assert loaded.smtp.next_hop == "[::1]:25"


def test_what_is_written_is_read_again(tmp_path):
    """The written file holds every setting with its comment."""
    text = Settings().to_toml()
    assert Settings.load(written(tmp_path, text)).model_dump() == Settings().model_dump()
    for path, field in settings(Settings):
        assert f"\n{path.rpartition('.')[2]} = " in text
        assert field.description


def test_every_mistake_is_reported_with_its_line(tmp_path):
    """Line, setting, what is wrong and what to do, all at once."""
    text = 'worker = 2\n[smtp]\nlisten = "2525"\nnext_hop = "::1:25"\nmax_size = 1\ntrusted_proxies = ["10.0.0.1/8"]\ntls_key = "k"\n[storage]\nurl = "mysql://x"\n'
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        Settings.load(path)
    found = {problem.where: problem.line for problem in refused.value.problems}
    assert found == {"worker": 1, "smtp.listen": 3, "smtp.next_hop": 4, "smtp.max_size": 5, "smtp.trusted_proxies[0]": 6, "storage.url": 9}
    assert f"{path}:1: worker: there is no such setting. Did you mean workers?" in str(refused.value)


def test_certificate_and_key_belong_together(tmp_path):
    """One without the other is refused at the table."""
    with pytest.raises(SettingsError, match="belong together") as refused:
        Settings.load(written(tmp_path, '[smtp]\ntls_key = "k"\n'))
    assert refused.value.problems[0].line == 1


def test_files_that_cannot_be_read_say_so(tmp_path):
    """Missing, or no text."""
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings.load(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        Settings.load(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:2525", ("::1", 2525)), ("mx.example.com:25", ("mx.example.com", 25))],
)
def test_places_are_host_and_port(text, expected):
    """v4, v6 in brackets, and names."""
    assert host_and_port(text) == expected


@pytest.mark.parametrize("text", ["25", ":25", "host:", "host:99999", "::1:25", "host:x"])
def test_other_places_are_refused(text):
    """Words, not a stack trace."""
    with pytest.raises(ValueError, match=r"such as|brackets"):
        host_and_port(text)
