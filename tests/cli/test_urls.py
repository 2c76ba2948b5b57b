"""`mailward urls`, `mailward rate --set` and `mailward policy urls`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FEED = "http://evil.example/a\nnot a url\nhttp://front.example/\n"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_feed_from_a_file(mailward: Any, state: Path, tmp_path: Path) -> None:
    """Imported with its refusals, shown, rated by, removed."""
    (tmp_path / "openphish.txt").write_text(FEED)
    done = mailward("urls", "import", tmp_path / "openphish.txt", "--kind", "phishing", "--state", state)
    assert (done.returncode, "openphish: 2 entries imported (read as urls), 1 lines not taken" in done.stdout) == (0, True)
    assert "openphish.txt:2: 'not a url' is no URL" in done.stderr
    (row,) = map(json.loads, mailward("urls", "feeds", "--json", "--state", state).stdout.splitlines())
    assert (row["name"], row["entries"], row["kind"], row["state"]) == ("openphish", 2, "phishing", "in force")
    done = mailward("rate", "evil.example/a", "--state", state)
    assert done.stdout.split()[:3] == ["20", "dangerous", "hxxp://evil[.]example/a"]
    assert mailward("urls", "remove", "openphish", "--state", state).returncode == 0
    assert mailward("rate", "http://front.example/", "--state", state).stdout.split()[1] == "untested"
    assert mailward("urls", "remove", "openphish", "--state", state).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kind", "nice"], "no kind of feed"),
        (["--format", "xml"], "no format"),
        (["--format", "urlhaus-json"], "is refused"),
        (["--name", "../x"], "cannot be the name"),
        (["--expires", "soon"], "soon"),
    ],
)
def test_mistakes_are_named(mailward: Any, state: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "feed.txt").write_text(FEED)
    done = mailward("urls", "import", tmp_path / "feed.txt", *arguments, "--state", state)
    assert done.returncode == 2
    assert says in done.stderr


def test_the_catalogue_shows_terms(mailward: Any) -> None:
    done = mailward("urls", "feeds", "--catalogue")
    assert "phishtank: PhishTank" in done.stdout
    assert "non-commercial" in done.stdout


def test_feeds_of_the_settings_are_fetched_now(mailward: Any, state: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("evil.example\n")
    config = tmp_path / "mailward.toml"
    config.write_text(f'[[urls.feeds]]\nname = "ours"\nsource = "{tmp_path}/list.txt"\nkind = "malware"\nrating = 11\n')
    done = mailward("urls", "refresh", "--config", config, "--state", state)
    assert (done.returncode, done.stdout) == (0, "ours: fetched; entries kept: 1\n")
    assert mailward("rate", "http://x.evil.example/", "--config", config, "--state", state).stdout.split()[0] == "11"
    (tmp_path / "list.txt").unlink()
    assert mailward("urls", "refresh", "--config", config, "--state", state).returncode == 1
    assert mailward("urls", "refresh", "--state", state).returncode == 2


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        ('name = "x y"\nsource = "/a"', "cannot be the name"),
        ('name = "ours"', "names no source"),
        ('name = "ours"\nsource = "http://a.example/x"', "neither https"),
        ('name = "ours"\nsource = "/a"\nevery = "1m"', "every 15m to 30d"),
        ('name = "ours"\nsource = "/a"\nformat = "xml"', "is no format"),
        ('name = "ours"\nsource = "/a"\ncolour = "red"', "no such setting"),
    ],
)
def test_mistakes_in_the_settings_are_named_with_their_line(mailward: Any, tmp_path: Path, feed: str, says: str) -> None:
    config = tmp_path / "mailward.toml"
    config.write_text(f"workers = 1\n[[urls.feeds]]\n{feed}\n")
    done = mailward("urls", "feeds", "--config", config)
    assert done.returncode == 2
    assert says in done.stderr
    assert "mailward.toml:" in done.stderr


def test_own_ratings(mailward: Any, state: Path, tmp_path: Path) -> None:
    """Set, shown with who and when, taken back, set from a file."""
    done = mailward("rate", "https://www.debian.org/", "--set", "5", "--scope", "domain", "--why", "a test", "--state", state)
    assert done.stdout.split()[:2] == ["5", "dangerous"]
    assert "a test" in done.stdout
    lines = mailward("urls", "ratings", "--state", state).stdout
    assert lines == "5\tdomain\tdebian.org\t# a test\n"
    assert mailward("rate", "https://www.debian.org/", "--unset", "--state", state).returncode == 2
    done = mailward("rate", "https://www.debian.org/", "--unset", "--scope", "domain", "--state", state)
    assert done.stdout.split()[:2] == ["85", "safe"]
    history = mailward("urls", "ratings", "--history", "--state", state).stdout.splitlines()
    assert ["rated 5" in history[0], "taken back" in history[1]] == [True, True]
    (tmp_path / "ours.txt").write_text("7 host a.example\n8 url http://b.example/x # bad\n")
    assert mailward("urls", "rate-all", tmp_path / "ours.txt", "--state", state).stdout == "2 ratings set, 0 taken back\n"
    (tmp_path / "ours.txt").write_text("7 host a.example\n")
    assert mailward("urls", "rate-all", tmp_path / "ours.txt", "--replace", "--state", state).stdout == "1 ratings set, 1 taken back\n"
    (tmp_path / "ours.txt").write_text("7 host a.example\n700 host b.example\n")
    done = mailward("urls", "rate-all", tmp_path / "ours.txt", "--state", state)
    assert (done.returncode, "ours.txt:2:" in done.stderr) == (2, True)
    assert mailward("rate", "http://a.example/", "--scope", "host", "--state", state).returncode == 2


def test_reports_become_evidence(mailward: Any, state: Path) -> None:
    """A report rates the domain at once, is exported, and can be forgotten; well-known sites are not listed as a whole."""
    assert mailward("urls", "report", "http://x.evil.example/y", "--state", state).stdout == "domain evil.example: spam recorded\n"
    found = json.loads(mailward("rate", "http://z.evil.example/", "--json", "--state", state).stdout)
    assert (found["rating"], found["source"]) == (60, "evidence")
    assert found["until"] > found["since"] > 0
    exported = mailward("urls", "export", "--format", "rbldnsd", "--state", state).stdout
    assert "\n*.evil.example :127.0.0.20:highly suspicious (60): " in exported
    assert mailward("urls", "report", "evil.example", "--kind", "forget", "--state", state).returncode == 0
    assert mailward("rate", "http://z.evil.example/", "--state", state).stdout.split()[1] == "untested"
    assert mailward("urls", "report", "https://www.debian.org/", "--state", state).returncode == 2


def test_approved_urls_as_text(mailward: Any, state: Path, tmp_path: Path) -> None:
    """Imported beside those there are or in their place, exported as they are; a mistake changes nothing."""
    file = tmp_path / "approved.txt"
    file.write_text("# ours\nexample.com\nexample.org/a/b # a partner\n")
    assert "2 URLs are approved" in mailward("policy", "urls", "import", file, "--state", state).stdout
    file.write_text("example.net\nexample.com\n")
    mailward("policy", "urls", "import", file, "--note", "more", "--state", state)
    assert mailward("policy", "urls", "export", "--state", state).stdout == "example.com\nexample.org/a/b\nexample.net\n"
    mailward("policy", "urls", "import", file, "--replace", "--state", state)
    assert mailward("policy", "urls", "export", "--state", state).stdout == "example.net\nexample.com\n"
    file.write_text("example.com\n*.example.org\n")
    done = mailward("policy", "urls", "import", file, "--state", state)
    assert (done.returncode, "approved.txt:2" in done.stderr) == (2, True)
    assert "more" in mailward("policy", "history", "--state", state).stdout
