"""Whether an approved sender counts. The same rule for every filter that has a list of them."""

from __future__ import annotations

from mailward.policy import SenderList
from mailward.scan.assessment import Assessment
from mailward.scan.opinion import Opinion
from mailward.scan.verdict import Hit, Reason


def approved_sender(assessment: Assessment, approved: SenderList, requires_authentication: bool) -> tuple[str, str]:
    """The approved entry that counts, "" if none; and why one that matches does not count, "" otherwise.

    A sender is approved when every visible From address is; the entry named is that of the first.
    """
    entries = [approved.match(sender) for sender in assessment.header_from]
    if not entries or not all(entries):
        return "", ""
    entry = f"approved_senders: {entries[0]}"
    if assessment.from_aligned is True or not requires_authentication:
        return entry, ""
    why = "could not be checked for authentication" if assessment.from_aligned is None else "was not authenticated"
    return "", f"{entry} did not count because the mail {why}"


def unless_approved(hit: Hit, approved: tuple[str, str], excuse: str, told: tuple[Reason, ...]) -> Opinion:
    """What a filter says that has caught something: `approved` is what `approved_sender` found, `excuse` what an approval does to the mail.

    The reasons it has `told` stay; a filter that only observes says first what it would have done.
    """
    entry, why_not = approved
    if entry:
        entry = f"{hit.filter}.{entry}"
        return Opinion(None, entry, (Reason(hit.filter, "approved", 0.0, f"{excuse} because of {entry}"), *told))
    if why_not:
        told = (*told, Reason(hit.filter, "approval-not-counted", 0.0, f"{hit.filter}.{why_not}"))
    if hit.log_only:
        title = hit.filter.rpartition(".")[2].replace("_", " ").title()
        only = f"{title} only observes (log_only); it would have used the action {hit.action}"
        told = (Reason(hit.filter, "log-only", 0.0, only), *told)
    return Opinion(hit, "", told)
