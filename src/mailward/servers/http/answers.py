"""What a judgement is in rspamd's words, and what is told of the gateway as a whole. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mailward import __version__
from mailward.content.model import Model, meanings
from mailward.gateway import Judgement
from mailward.gateway.counters import Counters
from mailward.gateway.marking import changes, head_of
from mailward.policy import Action, Policy
from mailward.scan.reply import action_table, reply
from mailward.scan.verdict import Reason, evidence
from mailward.servers.caller import Figures, figures, filed, symbol, symbol_of
from mailward.servers.http import limits
from mailward.servers.rspamd_words import REJECT_FACTOR, action_name
from mailward.servers.smtp.replies import printable


def checked(
    raw: bytes, judgement: Judgement, action: Action, policy: Policy, hostname: str, lookup_url: str, seconds: float
) -> dict[str, Any]:
    """The answer to /checkv2. `seconds`: it took."""
    found = figures(judgement.verdict, action)
    answer: dict[str, Any] = {
        "is_skipped": False,
        **_result(judgement, action, found, policy),
        "thresholds": {"reject": found.threshold * REJECT_FACTOR, "add header": found.threshold},
        "symbols": _symbols(judgement),
        **_about(judgement, seconds),
        "milter": _milter(raw, judgement, action, policy, hostname),
    }
    said = reply(judgement.verdict, policy, judgement.assessment, lookup_url)
    if said is not None:
        answer["messages"] = {"smtp_message": printable(f"{said[1]} [{judgement.assessment.id}]", limits.TEXT)}
    return answer


def checked_as_before(judgement: Judgement, action: Action, policy: Policy, seconds: float) -> dict[str, Any]:
    """The answer to /check and /symbols, as rspamd gave it before 1.7: one metric, in which the symbols stand beside the score."""
    found = figures(judgement.verdict, action)
    metric = {"is_spam": found.caught, "is_skipped": False, **_result(judgement, action, found, policy), **_symbols(judgement)}
    return {"default": metric, **_about(judgement, seconds)}


def _result(judgement: Judgement, action: Action, found: Figures, policy: Policy) -> dict[str, Any]:
    result: dict[str, Any] = {"score": round(found.score, 4), "required_score": found.threshold, "action": action_name(action)}
    if action is Action.TAG:
        result["subject"] = action_table(judgement.verdict, policy).tag_text + judgement.message.subject
    return result


def _about(judgement: Judgement, seconds: float) -> dict[str, Any]:
    hosts = dict.fromkeys(url.url.partition("://")[2].partition("/")[0] for url in judgement.assessment.urls)
    return {
        "message-id": printable(judgement.assessment.message_id.strip("<>"), limits.TEXT) or "undef",
        "urls": list(hosts)[: limits.URLS],
        "emails": [],
        "time_real": round(seconds, 6),
        "mailward": {
            "id": judgement.assessment.id,
            "verdict": str(judgement.verdict.kind),
            "filter": judgement.verdict.filter,
            "policy": judgement.verdict.policy,
        },
    }


def _symbols(judgement: Judgement) -> dict[str, dict[str, Any]]:
    symbols: dict[str, dict[str, Any]] = {}
    for reason in evidence(judgement.verdict)[: limits.SHOWN]:
        name, text = symbol_of(reason), printable(reason.text, limits.TEXT)
        known = symbols.get(name)
        if known is None:
            symbols[name] = _symbol(name, reason, text)
        else:  # two reasons of one name, such as two links
            known["score"] = known["metric_score"] = round(known["score"] + reason.contribution, 4)
            known["options"].append(text)
    return symbols


def _symbol(name: str, reason: Reason, text: str) -> dict[str, Any]:
    score = round(reason.contribution, 4)
    return {"name": name, "score": score, "metric_score": score, "description": text, "options": [text], "group": reason.filter}


def _milter(raw: bytes, judgement: Judgement, action: Action, policy: Policy, hostname: str) -> dict[str, Any]:
    """The header fields a caller should add (each above those before it) and remove, by name and number."""
    found = changes(head_of(raw), filed(judgement, action), policy, hostname)
    add: dict[str, list[dict[str, Any]]] = {}
    for name, value in found.added:
        add.setdefault(name.decode("ascii"), []).append({"value": value.decode("ascii").replace("\n", "").strip(), "order": 1})
    remove: dict[str, list[int]] = {}
    for name, number in found.dropped:
        remove.setdefault(name.decode("latin-1"), []).append(number)
    return {
        "add_headers": {name: values[0] if len(values) == 1 else values for name, values in add.items()},
        "remove_headers": {name: numbers[0] if len(numbers) == 1 else numbers for name, numbers in remove.items()},
    }


def symbols(model: Model) -> list[dict[str, Any]]:
    """What the spam score is made of, by group: every fact with its weight and its sentence."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, meaning in meanings().items():
        rule = {
            "symbol": symbol(name),
            "weight": round(model.weights.facts.get(name, 0.0), 4),
            "description": meaning.text,
            "frequency": 0,
            "time": 0,
        }
        groups.setdefault(name.partition(":")[0], []).append(rule)
    return [{"group": group, "rules": rules} for group, rules in groups.items()]


def stat(counters: Counters, uptime: int, learned: int) -> dict[str, Any]:
    """The answer to /stat: what rspamd's has and we know, of all workers since the start."""
    actions = Counter({action_name(action): 0 for action in Action})
    spam = 0
    for _, _, action, number in counters.messages():
        actions[action_name(action)] += number
        spam += number if action is not Action.PASS else 0
    scanned = sum(actions.values())
    return {
        "version": __version__,
        "config_id": "",
        "uptime": uptime,
        "read_only": False,
        "scanned": scanned,
        "learned": learned,
        "actions": dict(actions),
        "spam_count": spam,
        "ham_count": scanned - spam,
        "connections": 0,
        "control_connections": 0,
        "pools_allocated": 0,
        "pools_freed": 0,
        "bytes_allocated": 0,
        "chunks_allocated": 0,
        "shared_chunks_allocated": 0,
        "chunks_freed": 0,
        "chunks_oversized": 0,
        "fragmented": 0,
        "total_learns": learned,
        "statfiles": [],
        "fuzzy_hashes": {},
    }


def metrics(counters: Counters, uptime: float) -> bytes:
    """The same for Prometheus (text format 0.0.4)."""
    return "".join(f"{line}\n" for line in _metrics(counters, uptime)).encode()


def _metrics(counters: Counters, uptime: float) -> Iterator[str]:
    yield from _head("mailward_build_info", "gauge", "The version that runs.")
    yield f'mailward_build_info{{version="{__version__}"}} 1'
    yield from _head("mailward_uptime_seconds", "gauge", "Since the start.")
    yield f"mailward_uptime_seconds {uptime:.1f}"
    yield from _head("mailward_messages_total", "counter", "Messages judged, by way in, verdict and action.")
    total = 0
    for way_in, kind, action, number in counters.messages():
        total += number
        yield f'mailward_messages_total{{way_in="{way_in}",verdict="{kind}",action="{action}"}} {number}'
    yield from _head("mailward_judging_seconds", "summary", "Work on a message, without waiting for the DNS.")
    yield f"mailward_judging_seconds_sum {counters.seconds():.6f}"
    yield f"mailward_judging_seconds_count {total}"
    yield from _head("mailward_refused_total", "counter", "Connections and transactions refused before a message.")
    yield f"mailward_refused_total {counters.refusals()}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
