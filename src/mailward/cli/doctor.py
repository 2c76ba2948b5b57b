"""`mailward doctor`: looks at everything the gateway needs, and says how to mend what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mailward.cli import words
from mailward.cli.options import AsJson, ConfigFile, StateFolder, settings_of
from mailward.cli.trouble import Trouble

if TYPE_CHECKING:
    from mailward.gateway.settings import Settings

FEW_BYTES = 500 << 20  # free space below this is worth a warning
CONNECT_SECONDS = 5.0


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Symptom:
    """What one look found. `remedy` says how to mend it, "" where nothing is wrong."""

    grade: Grade
    what: str
    found: str
    remedy: str = ""


def doctor(config: ConfigFile = None, state: StateFolder = None, as_json: AsJson = False) -> None:
    """Check settings, storage, policy, model, quarantine, ports, DNS lists and libraries. Exit status 1 when something is broken."""
    symptoms = list(_examine(config, state))
    for symptom in symptoms:
        print(json.dumps(asdict(symptom)) if as_json else _shown(symptom))
    raise typer.Exit(any(symptom.grade is Grade.BROKEN for symptom in symptoms))


def _shown(symptom: Symptom) -> str:
    colour = {Grade.OK: "clean", Grade.WARNING: "unscannable"}.get(symptom.grade, "broken")
    line = f"{words.coloured(symptom.grade, 8, colour)} {symptom.what:<11} {words.one_line(symptom.found)}"
    return f"{line}\n{'':<21}{words.one_line(symptom.remedy)}" if symptom.remedy else line


def _examine(config: Path | None, state: Path | None) -> Iterator[Symptom]:
    try:
        settings = settings_of(config, state)
    except Trouble as trouble:
        yield Symptom(Grade.BROKEN, "settings", trouble.message, trouble.hint or "Mend the file; nothing else can be checked before.")
        return
    name = str(config) if config else "mailward.toml" if Path("mailward.toml").is_file() else "defaults, there is no mailward.toml here"
    yield Symptom(Grade.OK, "settings", name)
    looks: tuple[tuple[str, Callable[[Settings], Iterator[Symptom]]], ...] = (
        ("state", _state),
        ("storage", _storage),
        ("policy", _policy),
        ("model", _model),
        ("quarantine", _quarantine),
        ("smtp", _smtp),
        ("next hop", _next_hop),
        ("DNS lists", _dns_lists),
        ("databases", _databases),
        ("own hops", _own_hops),
        ("milter", _milter),
        ("http", _http),
        ("spamd", _spamd),
        ("dns", _dns),
        ("console", _console),
        ("attachments", _attachments),
    )
    for what, look in looks:
        try:
            yield from look(settings)
        except Exception as error:  # a look that fails is a finding, the others go on
            yield Symptom(Grade.BROKEN, what, f"{type(error).__name__}: {error}")


def _state(settings: Settings) -> Iterator[Symptom]:
    folder = settings.state_folder
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Symptom(
            Grade.BROKEN, "state", f"{folder} cannot be written", f"Let this user write to {existing}, or name another folder with --state."
        )
        return
    free = shutil.disk_usage(existing).free
    if free < FEW_BYTES:
        yield Symptom(
            Grade.WARNING,
            "state",
            f"{folder}: {words.size(free)} left on the disk",
            "Make room: mail is answered 451 when the quarantine is full.",
        )
        return
    yield Symptom(Grade.OK, "state", f"{folder}, {'' if folder.exists() else 'made when first needed, '}{words.size(free)} free")


def _storage(settings: Settings) -> Iterator[Symptom]:
    from mailward import storage

    if not Path(settings.database).is_file():
        yield Symptom(Grade.OK, "storage", f"{settings.database}, made when first needed")
        return
    try:
        opened = storage.open(settings.storage_url)
        try:
            count = opened.count()
        finally:
            opened.close()
    except storage.StorageError as error:
        yield Symptom(Grade.BROKEN, "storage", str(error), "Put a copy of the file aside; `mailward serve` starts with a new one.")
        return
    yield Symptom(Grade.OK, "storage", f"{settings.database}, {count:,} messages remembered")


def _policy(settings: Settings) -> Iterator[Symptom]:
    from mailward.gateway.gateway import stored_policy
    from mailward.policy import PolicyError

    try:
        policy = stored_policy(settings)
    except PolicyError as error:
        yield Symptom(Grade.BROKEN, "policy", str(error), "`mailward policy rollback N` puts an earlier one in force.")
        return
    yield Symptom(Grade.OK, "policy", policy.digest)
    if not policy.content_scanning.enabled:
        yield Symptom(
            Grade.WARNING, "policy", "Content Scanning is switched off: nothing is caught", "Set content_scanning.enabled = true."
        )


def _model(settings: Settings) -> Iterator[Symptom]:
    del settings
    from mailward import content

    yield Symptom(Grade.OK, "model", content.load().name)


def _quarantine(settings: Settings) -> Iterator[Symptom]:
    from mailward.quarantine import State, Vault

    if not settings.quarantine_folder.exists():
        yield Symptom(Grade.OK, "quarantine", "empty, made when first needed")
        return
    entries = Vault(settings.quarantine_folder).list()
    yield Symptom(Grade.OK, "quarantine", f"{sum(entry.state is State.HELD for entry in entries):,} messages held")
    for entry in entries:
        if entry.defect:
            yield Symptom(Grade.WARNING, "quarantine", f"{entry.id}: {entry.defect}", "Look at the file and move it away.")
        elif entry.state is State.RELEASING:
            remedy = f"If it did not arrive: `mailward quarantine release {entry.id} --again`."
            yield Symptom(Grade.WARNING, "quarantine", f"{entry.id}: its release was interrupted, or is under way", remedy)


def _smtp(settings: Settings) -> Iterator[Symptom]:
    from mailward.gateway.settings import host_and_port

    if not settings.smtp.listen:
        yield Symptom(Grade.WARNING, "smtp", "switched off", 'Set [smtp] listen = "127.0.0.1:2525" to take mail.')
        return
    host, port = host_and_port(settings.smtp.listen)
    problem = cannot_bind(host, port)
    if not problem:
        yield Symptom(Grade.OK, "smtp", f"{settings.smtp.listen} is free for `mailward serve`")
        return
    greeting = _greeting(host, port)
    if "mailward" in greeting.lower():
        yield Symptom(Grade.OK, "smtp", f"{settings.smtp.listen} answers: {greeting}")
    else:
        remedy = "Stop what uses it (`ss -ltnp` names it), or set another [smtp] listen."
        yield Symptom(
            Grade.BROKEN, "smtp", f"{settings.smtp.listen}: {problem}" + (f"; it answers: {greeting}" if greeting else ""), remedy
        )


def _next_hop(settings: Settings) -> Iterator[Symptom]:
    from mailward.gateway.settings import host_and_port

    if not settings.smtp.next_hop:
        remedy = 'Set [smtp] next_hop = "host:port" to your mail server.'
        yield Symptom(Grade.WARNING, "next hop", "none: every message that is not held is answered 451", remedy)
        return
    greeting = _greeting(*host_and_port(settings.smtp.next_hop))
    if greeting.startswith("220"):
        yield Symptom(Grade.OK, "next hop", f"{settings.smtp.next_hop} answers: {greeting}")
    else:
        found = f"{settings.smtp.next_hop} " + (f"answers: {greeting}" if greeting else "does not answer")
        yield Symptom(Grade.BROKEN, "next hop", found, "Start that server or mend [smtp] next_hop; until then mail is answered 451.")


def _dns_lists(settings: Settings) -> Iterator[Symptom]:
    """The foreign lists the policy names: as the running service last found them, else probed now."""
    import asyncio

    from mailward.gateway.gateway import domain_lists, plan_of, stored_policy
    from mailward.gateway.probes import current_states

    policy = stored_policy(settings)
    plan, domains = plan_of(policy), domain_lists(policy)
    entries = (*plan.standard, *plan.dynamic, *domains) if plan is not None else domains
    if not entries:
        yield Symptom(Grade.OK, "DNS lists", "the policy asks none but our own")
        return
    of_domains = {entry.zone for entry in domains}
    for zone, state in asyncio.run(current_states(settings, entries)).items():
        if state.works:
            families = "domains" if zone in of_domains else "v4 and v6" if state.v6 else "v4 only"
            yield Symptom(Grade.OK, "DNS lists", f"{zone} works, {families}")
        else:
            yield Symptom(Grade.WARNING, "DNS lists", f"{zone} is switched off: {state.why}", state.remedy)


def _databases(settings: Settings) -> Iterator[Symptom]:
    """Our own reputation databases: what is published, and the lists they are made of."""
    from mailward.gateway.databases import standard_database
    from mailward.reputation.ip.refresh import read_states
    from mailward.reputation.snapshot import DYNAMIC_FILE, STANDARD_FILE, SnapshotError, Table

    for zone, name in ((settings.reputation.standard_zone, STANDARD_FILE), (settings.reputation.dynamic_zone, DYNAMIC_FILE)):
        try:
            table = Table.open(settings.snapshots_folder / name)
        except SnapshotError as error:
            yield Symptom(Grade.WARNING, "databases", str(error), "Restart `mailward serve`: it writes the file anew.")
            continue
        yield Symptom(Grade.OK, "databases", f"{zone}: {len(table):,} entries" if table.serial else f"{zone}: made when first needed")
    database = standard_database(settings)
    for kept in database.lists():
        if kept.defect:
            yield Symptom(
                Grade.WARNING, "databases", f"{kept.name}: {kept.defect}", f"Import it again, or `mailward reputation remove {kept.name}`."
            )
    for name, state in read_states(database).items():
        if state.failure:
            yield Symptom(Grade.WARNING, "databases", f"{name} could not be fetched: {state.failure}", "The last good copy stays in force.")


def _own_hops(settings: Settings) -> Iterator[Symptom]:
    """Servers that look like ours and are named nowhere."""
    from mailward.gateway.gateway import stored_policy
    from mailward.gateway.hops import suggested_hops

    found = suggested_hops(settings, stored_policy(settings))
    for each in found:
        text = f"{each.address} may be a server of yours: {each.why}, {each.messages} of the last {each.looked_at} messages came from it"
        yield Symptom(Grade.WARNING, "own hops", text, f'If so, add "{each.address}" to organisation.gateway_networks in the policy.')
    if not found:
        yield Symptom(Grade.OK, "own hops", "no other server looks like one of yours")


def _milter(settings: Settings) -> Iterator[Symptom]:
    from mailward.gateway.settings import UNIX
    from mailward.servers.milter.protocol import VERSION, Actions, Code, Problem, Reader, Steps, negotiated

    def answer(host: str, port: int) -> str:
        reader = Reader()
        try:
            with _connected(host, port) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.sendall(negotiated(VERSION, Actions(0), Steps(0), {}))  # an offer has the form of its answer
                while (heard := reader.next()) is None and (octets := connection.recv(4096)):
                    reader.feed(octets)
        except (OSError, Problem):
            return ""
        return "answers" if heard is not None and heard[0] == Code.NEGOTIATE else ""

    place = settings.milter.listen
    if not place.startswith(UNIX):
        yield from _service("milter", place, answer)
    elif heard := answer(place.removeprefix(UNIX), 0):
        yield Symptom(Grade.OK, "milter", f"{place} {heard}")
    else:
        yield Symptom(Grade.OK, "milter", f"{place} is free for `mailward serve`")


def _connected(host: str, port: int) -> socket.socket:
    """A connection to that port, or to the socket file `host` where the port is 0. Raises OSError."""
    if port:
        return socket.create_connection((host, port), CONNECT_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(host)
    except OSError:
        connection.close()
        raise
    return connection


def _http(settings: Settings) -> Iterator[Symptom]:
    def answer(host: str, port: int) -> str:
        import http.client

        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        try:
            connection.request("GET", "/ping")
            return "answers" if connection.getresponse().read(100) == b"pong\r\n" else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    yield from _service("http", settings.http.listen, answer)


def _spamd(settings: Settings) -> Iterator[Symptom]:
    def answer(host: str, port: int) -> str:
        return "answers" if _heard(host, port, b"PING SPAMC/1.5\r\n\r\n").startswith("SPAMD/1.5 0 PONG") else ""

    yield from _service("spamd", settings.spamd.listen, answer)


def _dns(settings: Settings) -> Iterator[Symptom]:
    def answer(host: str, port: int) -> str:
        import dns.exception
        import dns.message
        import dns.query

        try:
            heard = dns.query.udp(dns.message.make_query(settings.reputation.standard_zone, "SOA"), host, CONNECT_SECONDS, port)
        except (OSError, dns.exception.DNSException):
            return ""
        return f"answers {settings.reputation.standard_zone}" if heard.answer else ""

    yield from _service("dns", settings.dns.listen, answer)


def _console(settings: Settings) -> Iterator[Symptom]:
    def answer(host: str, port: int) -> str:
        import http.client

        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        try:
            connection.request("GET", "/lookup")
            return "answers" if b"mailward" in connection.getresponse().read(10_000) else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    yield from _service("console", settings.console.listen, answer)


def _attachments(settings: Settings) -> Iterator[Symptom]:
    del settings
    from mailward.message.attachments import packed

    if packed.available:
        yield Symptom(Grade.OK, "attachments", "libarchive is there")
    else:
        remedy = "Install it. On Debian: apt-get install libarchive13 (libarchive13t64 since Debian 13)."
        yield Symptom(
            Grade.WARNING, "attachments", "without libarchive no 7z, rar, iso and cab files and no locked zip files are looked into", remedy
        )


def _service(name: str, place: str, answer: Callable[[str, int], str]) -> Iterator[Symptom]:
    """A port that is free for `serve`, ours already, or somebody else's. `answer` says what we hear there, "" if it is not us."""
    from mailward.gateway.settings import host_and_port

    if not place:
        yield Symptom(Grade.OK, name, "switched off")
        return
    host, port = host_and_port(place)
    problem = cannot_bind(host, port)
    heard = answer(host, port) if problem else ""
    if not problem or heard:
        yield Symptom(Grade.OK, name, f"{place} {heard or 'is free for `mailward serve`'}")
    else:
        yield Symptom(
            Grade.BROKEN, name, f"{place}: {problem}", f"Stop what uses it (`ss -lntup` names it), or set another [{name}] listen."
        )


def cannot_bind(host: str, port: int) -> str:
    """Why nobody could listen there, "" if one could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _greeting(host: str, port: int) -> str:
    """The first line a server says, "" if nobody answers."""
    return _heard(host, port, b"")


def _heard(host: str, port: int, said: bytes) -> str:
    """The first line a server says to that, "" if nobody answers."""
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
            connection.settimeout(CONNECT_SECONDS)
            connection.sendall(said)
            with connection.makefile("rb") as stream:
                return words.one_line(stream.readline(1000).decode("utf-8", "replace").strip())
    except OSError:
        return ""
