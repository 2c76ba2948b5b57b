"""`mailward reputation` as a person uses it, without and with a running gateway."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.resolver
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reputation(mailward: Run, tmp_path: Path) -> Run:
    """`mailward reputation COMMAND ...` with a state folder of its own."""

    def run(command: str, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
        return mailward("reputation", command, *arguments, "--state", tmp_path / "state", **how)

    return run


def standing(reputation: Run, address: str) -> dict[str, Any]:
    done = reputation("lookup", address, "--offline", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_zones_are_printed_one_a_line_the_standard_one_first(reputation: Run) -> None:
    """Scripts read them."""
    assert reputation("zones").stdout == "std.rep.internal\ndyn.rep.internal\nurl.rep.internal\n"


def test_evidence_takes_effect_before_the_command_ends(reputation: Run) -> None:
    """Nothing runs, and yet five hits of a spam trap list the source; delisting frees it; a good word is evidence too."""
    before = standing(reputation, "192.0.2.77")
    assert before["standing"] in ("unknown", "unchecked")
    done = reputation("evidence", "192.0.2.77", "--count", 5, "--detail", "mail to old@example.org", "--by", "nina")
    assert done.stdout.startswith("192.0.2.77: 5 pieces of evidence recorded (trap)\n192.0.2.77: listed in the dynamic database\n"), done
    found = standing(reputation, "192.0.2.77")
    assert found["standing"] == "dynamic"
    answer = found["answers"][1]
    assert (answer["zone"], answer["outcome"], answer["codes"]) == ("dyn.rep.internal", "listed", ["127.0.0.5"])
    assert answer["since"] <= time.time() < answer["until"]
    assert found["evidence"]["counts"] == {"trap": 5}
    assert (found["evidence"]["recent"][0]["by"], found["evidence"]["recent"][0]["detail"]) == ("nina", "mail to old@example.org")
    assert "192.0.2.77: taken off" in reputation("delist", "192.0.2.77").stdout
    assert standing(reputation, "192.0.2.77")["standing"] == "unknown"
    assert json.loads(reputation("evidence", "192.0.2.78", "--kind", "ham", "--json").stdout)["evidence"]["counts"] == {"ham": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lookup", "10.0.0.1"), "no address of the internet"),
        (("lookup", "hello"), "is no address"),
        (("evidence", "192.0.2.1", "--kind", "rumour"), "no kind of evidence"),
        (("delist", "192.0.2.1/24"), "not the start of a network"),
        (("export", "--format", "text", "--zone", "other.example"), "no zone of ours"),
        (("import", "nowhere.txt", "--zone", "standard"), "nowhere.txt cannot be used: No such file"),
        (("remove", "nothing"), "no list called 'nothing'"),
        (("refresh",), "the settings name no list"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(reputation: Run, arguments: tuple[str, ...], says: str) -> None:
    """Exit status 2, a sentence, no traceback."""
    done = reputation(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_list_is_imported_shown_exported_delisted_and_removed(reputation: Run, tmp_path: Path) -> None:
    """The life of a list; refused lines are named."""
    file = tmp_path / "Bad Ones.txt"
    file.write_text("198.51.100.0/28\n2001:db8::7\n10.0.0.1\n209.85.128.9\n")
    done = reputation("import", file, "--zone", "std.rep.internal", "--kind", "dynamic-space", "--expires", "2d")
    assert done.returncode == 0, done.stderr
    assert "bad-ones: 3 entries imported (read as text), 1 line refused; they are listed until" in done.stdout
    assert "Bad Ones.txt:3: the entry holds addresses that are private" in done.stderr
    found = standing(reputation, "198.51.100.9")
    assert found["standing"] == "standard"
    assert found["answers"][0]["codes"] == ["127.0.0.10"]
    assert found["answers"][0]["reason"].startswith("bad-ones 20")
    protected = standing(reputation, "209.85.128.9")
    assert (protected["standing"], protected["protected"]) == ("unknown", True)
    rows = {row["list"]["name"]: row["list"] for row in map(json.loads, reputation("lists", "--json").stdout.splitlines()) if "list" in row}
    assert (rows["bad-ones"]["entries"], rows["bad-ones"]["state"], rows["bad-ones"]["kind"]) == (3, "in force", "dynamic-space")
    assert set(rows) == {"bad-ones", "starter"}
    assert "198.51.100.0/28\t# dynamic-space: bad-ones 20" in reputation("export", "--format", "text").stdout
    assert "delist" not in reputation("delist", "198.51.100.8/30", "--by", "tom").stderr
    assert standing(reputation, "198.51.100.9")["standing"] == "unknown"
    assert standing(reputation, "198.51.100.7")["standing"] == "standard"
    assert "bad-ones" in reputation("lists").stdout
    assert reputation("remove", "bad-ones").stdout == "bad-ones: removed\n"
    assert standing(reputation, "198.51.100.7")["standing"] == "unknown"


def test_a_list_that_is_none_is_refused_with_its_lines(reputation: Run, tmp_path: Path) -> None:
    """Twenty lines are named, the state is as it was."""
    file = tmp_path / "page.html"
    file.write_text("<p>Not found</p>\n" * 30)
    done = reputation("import", file, "--zone", "standard")
    assert done.returncode == 2
    assert done.stderr.count("page.html:") == 20
    assert "most lines cannot be taken (30) when it is read as text" in done.stderr
    assert "starter" not in reputation("lists").stdout  # not even begun


def test_an_export_is_imported_by_another_node(reputation: Run, mailward: Run, tmp_path: Path) -> None:
    """What one node exports, in any format, lists the same addresses of the same kind at another."""
    file = tmp_path / "list.txt"
    file.write_text("198.51.100.0/28\n192.0.2.1\n2001:db8::7\n")
    reputation("import", file, "--zone", "standard", "--kind", "dynamic-space")
    reputation("remove", "starter")
    for format, kind in (("rbldnsd", "dynamic-space"), ("zone", "dynamic-space"), ("text", "known-source")):
        out = tmp_path / f"out.{format}"
        assert reputation("export", "--format", format, "--out", out).returncode == 0
        other = tmp_path / f"other-{format}"
        done = mailward("reputation", "import", out, "--zone", "standard", "--state", other)
        assert done.returncode == 0, done.stderr
        for address in ("198.51.100.15", "192.0.2.1", "2001:db8::7"):
            found = json.loads(mailward("reputation", "lookup", address, "--json", "--offline", "--state", other).stdout)
            code = {"dynamic-space": "127.0.0.10", "known-source": "127.0.0.2"}[kind]
            assert found["answers"][0]["codes"] == [code], (format, address)
        free = json.loads(mailward("reputation", "lookup", "198.51.100.16", "--json", "--offline", "--state", other).stdout)
        assert free["standing"] == "unknown"
    assert not list(tmp_path.glob(".*.tmp"))


def test_evidence_is_imported_from_a_file(reputation: Run, tmp_path: Path) -> None:
    """Lines as in evidence.tsv; a line that is none is named."""
    file = tmp_path / "seen.tsv"
    now = time.time()
    file.write_text("".join(f"{now - 10 + i:.3f}\ttrap\t3\t192.0.2.99\tnode2\t\n" for i in range(8)) + "hello\n")
    done = reputation("import", file, "--zone", "dynamic")
    assert done.stdout == "8 pieces of evidence recorded, 1 line refused\n"
    assert "seen.tsv:9: is no evidence" in done.stderr
    assert standing(reputation, "192.0.2.99")["standing"] == "dynamic"


def test_a_million_lines_of_nothing_are_counted_not_listed(reputation: Run, tmp_path: Path) -> None:
    """A file of the wrong kind costs seconds and twenty lines of text."""
    file = tmp_path / "wrong"
    file.write_text("hello\n" * 100_000)
    done = reputation("import", file, "--zone", "dynamic")
    assert len(done.stderr.splitlines()) == 21
    assert "99,980 more lines are refused" in done.stderr


def test_named_lists_are_fetched_on_command_and_shown_with_what_went_wrong(mailward: Run, tmp_path: Path) -> None:
    """A list in a file that changes, then vanishes: the copy stays, `lists` says since when and why."""
    file = tmp_path / "ours.txt"
    file.write_text("192.0.2.1\n")
    config = tmp_path / "mailward.toml"
    config.write_text(f'[state]\nfolder = "state"\n[reputation]\nlists = ["ours known-source {file} every 1h expires 2h"]\n')

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return mailward("reputation", *arguments, "--config", config)

    def row() -> dict[str, Any]:
        found = [json.loads(line) for line in run("lists", "--json").stdout.splitlines()]
        return next(line["list"] for line in found if line.get("list", {}).get("name") == "ours")  # type: ignore[no-any-return]

    assert row()["state"] == "not fetched yet"
    assert run("refresh").stdout == "ours: fetched; entries kept: 1\n"
    assert json.loads(run("lookup", "192.0.2.1", "--json", "--offline").stdout)["standing"] == "standard"
    file.unlink()
    done = run("refresh", "ours")
    assert (done.returncode, "No such file" in done.stdout, "entries kept: 1" in done.stdout) == (1, True, True)
    found = row()
    assert (found["state"], found["entries"], found["location"]) == ("in force", 1, str(file))
    assert found["fetched"] <= found["tried"]
    assert "No such file" in found["failure"]
    assert "No such file" in run("lists").stdout
    assert "name no list called 'other'" in run("refresh", "other").stderr


@pytest.mark.xdist_group("servers")
def test_with_a_running_gateway_commands_and_lists_take_effect(mailward: Run, tmp_path: Path) -> None:
    """Evidence, import and delisting change what the DNS port answers within seconds, and the gateway fetches the lists it is told to."""
    from tests.e2e.running import free_port, serving, wait_until

    file = tmp_path / "ours.txt"
    file.write_text("198.51.100.9\n")
    port = free_port()
    own = {"lists": [f"ours known-source {file}"]}
    with serving(tmp_path / "gateway", workers=1, reputation=own, dns={"listen": f"127.0.0.1:{port}"}) as (served, _):

        def listed(name: str, zone: str = "std") -> bool:
            try:
                return bool(_resolver(port).resolve(f"{name}.{zone}.rep.internal", "A"))
            except (dns.resolver.NXDOMAIN, dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout):
                return False

        def run(*arguments: object) -> None:
            done = mailward("reputation", *arguments, "--config", served.config)
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""

        wait_until(lambda: listed("9.100.51.198"), 20, "the list that the settings name")
        run("evidence", "192.0.2.77", "--count", 5)
        wait_until(lambda: listed("77.2.0.192", "dyn"), 10, "the evidence")
        run("delist", "192.0.2.77")
        wait_until(lambda: not listed("77.2.0.192", "dyn"), 10, "the delisting")
        other = tmp_path / "other.txt"
        other.write_text("203.0.113.5\n")
        run("import", other, "--zone", "standard")
        wait_until(lambda: listed("5.113.0.203"), 10, "the import")
        run("delist", "198.51.100.9")
        wait_until(lambda: not listed("9.100.51.198"), 10, "the delisting")


def _resolver(port: int) -> dns.resolver.Resolver:
    found = dns.resolver.Resolver(configure=False)
    found.nameservers, found.port, found.lifetime = ["127.0.0.1"], port, 2.0
    return found
