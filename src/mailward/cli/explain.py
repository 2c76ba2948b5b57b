"""`mailward explain`: one verdict in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailward.cli import words
from mailward.cli.judging import Given, Instructions, Judge
from mailward.cli.mailbox import Unreadable, find, is_path, read
from mailward.cli.options import AsJson, ConfigFile, StateFolder, opened_storage, policy_in_force, settings_of
from mailward.cli.trouble import Trouble, of_os

if TYPE_CHECKING:
    from mailward.gateway import Settings
    from mailward.policy import Policy
    from mailward.scan.assessment import Assessment
    from mailward.scan.verdict import Verdict
    from mailward.storage import Record, Storage


def explain(
    what: Annotated[str, typer.Argument(metavar="PATH or ID", help="A message, or the id of one the gateway has judged.")],
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody on the network: DNS lists the policy names are left out.")] = False,
    config: ConfigFile = None,
    state: StateFolder = None,
) -> None:
    """Say why a message was caught or not: every contribution, their sum, and what would have changed the outcome."""
    settings = settings_of(config, state)
    if is_path(what):
        _explain_path(what, settings, as_json, offline)
    else:
        _explain_id(what, settings, as_json)


def _explain_path(path: str, settings: Settings, as_json: bool, offline: bool) -> None:
    """Explain every message the path holds."""
    judge = Judge(Instructions(settings, None, Given(), as_json, offline))
    for number, piece in enumerate(find([path])):
        if isinstance(piece, Unreadable):
            raise Trouble(f"{piece.name}: {piece.reason}")
        try:
            raw = read(piece)
        except OSError as error:
            raise of_os(error, "read") from None
        judgement = judge.judgement(raw)
        if not as_json:
            print(("\n" if number else "") + words.one_line(piece.name))
        _print(judgement.assessment, judgement.verdict, judge.gateway.policy, piece.name if as_json else "", judgement.elapsed_ms)
    judge.close()


def _explain_id(id: str, settings: Settings, as_json: bool) -> None:
    with opened_storage(settings, must_exist=False) as storage:
        record = storage.record(id) if storage else None
        if storage is None or record is None:
            raise Trouble(f"{id}: neither a file nor the id of a message that was judged here", f"Looked in {settings.database}.")
        policy = _policy_of(record, storage, settings)
    verdict = record.verdict
    if policy.digest != verdict.policy:
        from mailward.scan.decide import decide

        verdict = decide(record.assessment, policy)
        typer.echo("The policy it was judged by is not kept any more; this is what the policy in force says.", err=True)
    _print(record.assessment, verdict, policy, id if as_json else "", record.elapsed_ms)
    if not as_json and record.outcome:
        print(f"\nWhat became of it: {record.outcome}")
        for recipient, fate in record.rcpt_outcomes.items():
            print(f"  {words.one_line(recipient)}: {words.one_line(fate)}")


def _policy_of(record: Record, storage: Storage, settings: Settings) -> Policy:
    """The policy the record was judged by, where it is still known; else the one in force."""
    from mailward.policy import Policy, PolicyError

    in_force = policy_in_force(settings)
    if record.verdict.policy in (in_force.digest, Policy().digest):
        return in_force if record.verdict.policy == in_force.digest else Policy()
    for version in storage.policies():
        try:
            policy = Policy.from_toml(version.toml)
        except PolicyError:  # written by a version with other settings
            continue
        if policy.digest == record.verdict.policy:
            return policy
    return in_force


def _print(assessment: Assessment, verdict: Verdict, policy: Policy, json_name: str, elapsed_ms: float) -> None:
    from mailward.scan.answer import to_json
    from mailward.scan.counterfactual import counterfactuals
    from mailward.scan.explain import explain as explained

    if json_name:
        print(to_json(json_name, assessment, verdict, counterfactuals(assessment, policy), elapsed_ms, policy))
        return
    for line in explained(assessment, verdict, policy).text().splitlines():
        print(words.one_line(line))
