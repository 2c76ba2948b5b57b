"""Impersonation in the policy: who must not be imitated, who is exempt, and what becomes of mail that does."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from mailward.policy import message_action
from mailward.policy.actions import Action
from mailward.policy.approval import approved_senders, requires_authentication
from mailward.policy.lists import DomainList, SenderList
from mailward.policy.message_action import DeferText, MessageAction, RejectText, TagText
from mailward.policy.people import MAX_HIGH_PROFILE, PeopleList
from mailward.policy.table import Table


def _few(people: PeopleList) -> PeopleList:
    if len(people) > MAX_HIGH_PROFILE:
        raise ValueError(f"{len(people)} people are no longer a few; name at most {MAX_HIGH_PROFILE}, and others on internal_names")
    return people


class ImpersonationTarget(Table):
    """Whose names and domains are watched, and who is exempt."""

    high_profile_users: Annotated[PeopleList, AfterValidator(_few)] = Field(
        default_factory=PeopleList,
        description="People whose names are worth abusing, at most 500, each with all addresses that are really theirs: "
        '"Erika Muster <erika.muster@example.com> <erika@example.net>"; other names of the same person after a vertical bar.',
    )
    internal_names: PeopleList = Field(
        default_factory=PeopleList,
        description="Names of other people of the organisation, as they stand in From. Addresses at organisation.internal_domains are theirs; "
        'others are added: "Max Muster <max@example.net>".',
    )
    partner_domains: DomainList = Field(
        default_factory=DomainList,
        description="Domains of suppliers and others the organisation writes with: mail of domains that look like theirs is caught.",
    )
    check_own_domains: bool = Field(
        default=True,
        description="Whether mail from organisation.internal_domains that comes from outside and fails authentication is caught.",
    )
    learn_names: bool = Field(
        default=True,
        description="Whether names that people here show in their own mail count like internal_names, where nobody knows the address that uses them.",
    )
    first_contact: bool = Field(
        default=True,
        description="Whether a sender who never wrote here, or a reply in a conversation that never passed here, makes a probable impersonation "
        "a confirmed one.",
    )
    suspect_unknown_threads: bool = Field(
        default=False,
        description="Whether such a reply of such a sender is a probable impersonation by itself. Only where all outgoing mail passes here; people who "
        "are drawn into conversations of others are hit too.",
    )
    approved_senders: SenderList = approved_senders("Senders who are never taken for imitators")
    approval_requires_authentication: bool = requires_authentication()


class ImpersonationAction(MessageAction):
    """What to do with mail under a false name: `action` where that is confirmed, `probable_action` where it only looks so."""

    action: Action = message_action.action(Action.QUARANTINE)
    probable_action: Action = Field(
        default=Action.TAG,
        strict=False,
        description="The same for mail that only probably uses a false name: a namesake is possible.",
    )
    tag_text: TagText = message_action.tag_text("[Who is it really?] ")
    defer_text: DeferText = message_action.defer_text("4.7.1 Message uses a name of ours, try again later")
    reject_text: RejectText = message_action.reject_text("5.7.1 Message refused: it uses a name of ours")


class Impersonation(Table):
    """Impersonation: does it pretend to come from somebody here, or from somebody we write with? (business e-mail compromise)"""

    enabled: bool = Field(default=True, description="Whether the filter decides anything.")
    log_only: bool = Field(default=False, description="Only observe: tracking shows what would have happened, the mail is delivered.")
    target: ImpersonationTarget = Field(default_factory=ImpersonationTarget)
    action: ImpersonationAction = Field(default_factory=ImpersonationAction)
