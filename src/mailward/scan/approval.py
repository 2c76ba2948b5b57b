"""Whether an approved sender counts. The same rule for every filter that has a list of them."""

from __future__ import annotations

from mailward.policy import SenderList
from mailward.scan.assessment import Assessment


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
