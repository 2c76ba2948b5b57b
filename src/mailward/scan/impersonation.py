"""The filter Impersonation: does the message pretend to come from somebody here, or somebody we write with? (filters.md, section 3)

Looks at display names, addresses, authentication and hosts of links, never at the text. Mail of users who signed in, and of hosts inside, is not looked at.
One strong sign, or two weak ones, confirm an impersonation; one weak sign makes it probable. That the sender or the conversation is not known
here only adds to another sign.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Generic, TypeVar

from mailward.message.domains import registrable
from mailward.message.origin import is_own
from mailward.phishing.brands import Brand, Brands, Name, Needs, made, table
from mailward.phishing.lookalikes import YOUR_OWN, YOUR_PARTNER, Lookalike, OwnNames, own_lookalike
from mailward.phishing.people import Match, NameIndex
from mailward.policy import Action, BrandList, DomainList, PeopleList, Policy
from mailward.policy.lists import EntryList
from mailward.policy.people import Person
from mailward.policy.urls import hosts_above, place
from mailward.reputation.knowledge import Known, known_host
from mailward.scan.approval import approved_sender, unless_approved
from mailward.scan.assess import MORE
from mailward.scan.assessment import Assessment
from mailward.scan.opinion import NOTHING, Opinion
from mailward.scan.verdict import Hit, Kind, Reason

IMPERSONATION = "advanced_spam_prevention.impersonation"
MAX_SENDERS = 10  # visible From addresses looked at; real mail has one
MAX_LINKS = 100  # of a message whose hosts are looked at
MAX_NAME_SHOWN = 80  # characters of a display name in words
Kept = TypeVar("Kept", bound=EntryList)
_EVERYBODY = Known.FREEMAIL | Known.DISPOSABLE
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']{1,64}@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that speaks for an impersonation. `strong`: it suffices alone. `person`, `lookalike`, `brand`: who is imitated."""

    name: str
    strong: bool
    text: str
    address: str = ""  # the one that is not theirs
    person: Person | None = None
    lookalike: Lookalike | None = None


def impersonation(assessment: Assessment, policy: Policy) -> Opinion:
    """Fires with `action` where an impersonation is confirmed, with `probable_action` where it is probable."""
    parent, settings = policy.advanced_spam_prevention, policy.advanced_spam_prevention.impersonation
    if not (parent.enabled and settings.enabled) or not concerns(assessment, policy):
        return NOTHING
    found = signs(assessment, policy)
    if not found:
        return NOTHING
    told = tuple(_note(sign.name, sign.text) for sign in found)
    target = settings.target
    sender = approved_sender(assessment, target.approved_senders, target.approval_requires_authentication)
    action = settings.action.action if is_confirmed(found) else settings.action.probable_action
    hit = Hit(IMPERSONATION, Kind.IMPERSONATION, action, parent.log_only or settings.log_only)
    return unless_approved(hit, sender, "Not judged as an impersonation", told)


def action_of(assessment: Assessment, policy: Policy) -> tuple[str, Action]:
    """The setting that names what is done, and what it says."""
    action = policy.advanced_spam_prevention.impersonation.action
    if is_confirmed(signs(assessment, policy)):
        return "action", action.action
    return "probable_action", action.probable_action


def is_confirmed(found: list[Sign]) -> bool:
    return any(sign.strong for sign in found) or len({sign.name for sign in found}) > 1


def concerns(assessment: Assessment, policy: Policy) -> bool:
    """Whether it came from outside: not from a user who signed in, nor from one of our own hops or a host inside."""
    if assessment.authenticated or assessment.connection_only or not (assessment.header_from or assessment.shown_from):
        return False
    address = assessment.sender_ip.address
    if address is None:
        return True
    try:
        inside = is_own(address, ())
    except ValueError:
        return True
    return not (inside or policy.organisation.gateway_networks.match(address))


def signs(assessment: Assessment, policy: Policy) -> list[Sign]:
    """What speaks for an impersonation, the strongest first."""
    names = _names(policy)
    found: list[Sign] = []
    pairs = zip_longest(assessment.header_from[:MAX_SENDERS], assessment.shown_from[:MAX_SENDERS], fillvalue="")
    for address, shown in pairs:
        if address == MORE:
            continue
        sender = _Sender(address, shown, assessment.from_aligned, names)
        found += sender.signs(policy, ours=_is_learned(sender, assessment, policy))
    found += _answers(assessment, names, found)
    found += _links(assessment, names)
    found += _unacquainted(assessment, policy, names, found)
    unique = {sign.text: sign for sign in found}
    return sorted(unique.values(), key=lambda sign: not sign.strong)


@dataclass(frozen=True, eq=False)
class Names:
    """The names of a policy, indexed. Compared by identity."""

    own: OwnNames
    internal: DomainList
    high_profile: NameIndex[Person]
    others: NameIndex[Person]
    brands: Brands
    empty: bool

    def is_internal(self, domain: str) -> bool:
        """Whether the domain is one of the organisation, or below one."""
        return bool(self.internal) and any(self.internal.match(host) for host in hosts_above(domain))


class _Keyed(Generic[Kept]):
    """A list that is compared by its digest, so that what is made of it is found at the cost of one comparison, however long it is."""

    __slots__ = ("list",)

    def __init__(self, list_: Kept) -> None:
        self.list = list_

    def __hash__(self) -> int:
        return hash(self.list.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and type(self.list) is type(other.list) and self.list.digest == other.list.digest


def _names(policy: Policy) -> Names:
    settings = policy.advanced_spam_prevention
    target = settings.impersonation.target
    return _indexed(
        _Keyed(policy.organisation.internal_domains),
        _Keyed(target.partner_domains),
        _Keyed(target.high_profile_users),
        _Keyed(target.internal_names),
        _Keyed(settings.own_brands),
    )


@lru_cache(maxsize=64)
def _indexed(
    internal: _Keyed[DomainList],
    partners: _Keyed[DomainList],
    high_profile: _Keyed[PeopleList],
    others: _Keyed[PeopleList],
    brands: _Keyed[BrandList],
) -> Names:
    return Names(
        own=_own_names(internal, partners, brands),
        internal=internal.list,
        high_profile=_people(high_profile),
        others=_people(others),
        brands=_own_brands(brands),
        empty=not any(keyed.list for keyed in (internal, partners, high_profile, others, brands)),
    )


@lru_cache(maxsize=16)
def _people(people: _Keyed[PeopleList]) -> NameIndex[Person]:
    return NameIndex((person, person.names) for person in people.list.people())


@lru_cache(maxsize=16)
def _own_brands(brands: _Keyed[BrandList]) -> Brands:
    return Brands(
        made(brand.names[0], "own", brand.domains, tuple(Name(each) for each in brand.names[1:]), _need(brand.names[0]))
        for brand in brands.list.brands()
    )


@lru_cache(maxsize=16)
def _own_names(internal: _Keyed[DomainList], partners: _Keyed[DomainList], brands: _Keyed[BrandList]) -> OwnNames:
    return OwnNames(_bare(internal.list), _bare(partners.list), _own_brands(brands).all)


def _need(name: str) -> Needs:
    """A brand of one short word is claimed by that word alone or beside words of a service."""
    return Needs.ALONE if " " not in name and len(name) < 6 else Needs.NOTHING


def _bare(domains: DomainList) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.removeprefix("*.").removeprefix("*@") for entry in domains.entries))


@dataclass(frozen=True, slots=True)
class _Sender:
    """One visible From: address, display name, and whether it is authenticated (None: not known)."""

    address: str
    shown: str
    aligned: bool | None
    names: Names

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2] if "@" in self.address else ""

    @property
    def everybodys(self) -> bool:
        """Whether anybody can have such an address."""
        return not self.domain or bool(known_host(self.domain) & _EVERYBODY)

    @property
    def false(self) -> bool:
        """Whether the address failed authentication, or says nothing about who uses it."""
        return self.aligned is False or self.everybodys

    @property
    def dubious(self) -> bool:
        """Whether nobody vouches for the address, or it says nothing about who uses it."""
        return self.aligned is not True or self.everybodys

    @property
    def of_service(self) -> bool:
        """Whether it is authenticated mail of a known service, which writes in the names of those who use it ("Ann" <invitations@linkedin.com>)."""
        if self.aligned is not True or self.everybodys:
            return False
        owner, exclusive = table().owner(self.domain)
        return owner is not None and exclusive

    def signs(self, policy: Policy, *, ours: bool = False) -> Iterator[Sign]:
        """`ours`: the name is one that people here bear in their own mail, and nobody knows the address."""
        if self.names.empty and not ours:
            return
        internal = self.names.is_internal(self.domain)
        if internal:
            if self.aligned is False and policy.advanced_spam_prevention.impersonation.target.check_own_domains:
                yield from self._own_domain()
            return
        if not self.of_service:
            yield from self._people(ours=ours)
        yield from self._own_address()
        yield from self._lookalike()
        yield from self._own_brand()

    def _own_domain(self) -> Iterator[Sign]:
        text = f"It says it is from {self._where}, an address of the organisation, but came from outside and failed authentication"
        yield Sign("own-domain", bool(self.names.high_profile.find(self.shown)), text, self.address)

    def _people(self, *, ours: bool) -> Iterator[Sign]:
        found = self.names.high_profile.find(self.shown)
        if found is not None:
            person, match = found
            if self.address in person.addresses or (match is not Match.WHOLE and not self.dubious):
                return
            strong = match is Match.WHOLE and self.false
            yield Sign("high-profile-name", strong, self._person_text(person, match, "a high-profile user"), self.address, person)
            return
        found = self.names.others.find(self.shown)
        if found is None or found[1] is not Match.WHOLE:
            if ours:
                yield Sign("learned-name", False, self._learned_text, self.address, Person((self.shown,), ()))
            return
        if self.address in found[0].addresses:
            return
        yield Sign("internal-name", False, self._person_text(*found, "somebody of the organisation"), self.address, found[0])

    def _person_text(self, person: Person, match: Match, what: str) -> str:
        how = {Match.WHOLE: "is that", Match.PART: "holds or shortens that", Match.INITIALS: "has the initials"}[match]
        whose = what if match is Match.WHOLE else f"{person.names[0]}, {what}"
        return f"The name '{self._name}' {how} of {whose}, but {self._where} is not one of the addresses known of {person.names[0]}{self._anybody}"

    @property
    def _learned_text(self) -> str:
        return f"The name '{self._name}' is that of somebody who writes from the organisation, but {self._where} is none of its addresses{self._anybody}"

    @property
    def _anybody(self) -> str:
        return " (anybody can have one there)" if self.domain and self.everybodys else ""

    def _own_address(self) -> Iterator[Sign]:
        """An address of the organisation in the display name, where many clients show nothing else."""
        if "@" not in self.shown:
            return
        shown = next((each[0] for each in _ADDRESS.finditer(self.shown) if self.names.is_internal(each[1].lower())), "")
        if shown:
            text = f"The name shown holds {_clean(shown)}, an address of the organisation, but the mail is from {self._where}"
            yield Sign("own-address-in-name", self.false, text, self.address)

    def _lookalike(self) -> Iterator[Sign]:
        found = own_lookalike(self.domain, self.names.own) if self.domain else None
        if found is not None and (found.sure or found.how != "token" or "-" in self.domain):  # "kerneltoast" is no pretence of "kernel"
            name = {YOUR_OWN: "own-domain-lookalike", YOUR_PARTNER: "partner-lookalike"}.get(found.brand, "own-brand-lookalike")
            strong = found.sure and found.how in ("skeleton", "edit")
            yield Sign(name, strong, f"Its From domain {found.text}", self.address, lookalike=found)

    def _own_brand(self) -> Iterator[Sign]:
        brand: Brand | None = self.names.brands.claimed(self.shown) if self.shown and len(self.names.brands) else None
        if brand is None or self.names.brands.is_true(brand, self.domain):
            return
        text = f"The name '{self._name}' is that of {brand.name}, but {self._where} is not at one of its domains"
        yield Sign("own-brand", self.false, text, self.address)

    @property
    def _where(self) -> str:
        return shown_address(self.address) if self.address else "no address"

    @property
    def _name(self) -> str:
        return _clean(self.shown)


def _answers(assessment: Assessment, names: Names, found: list[Sign]) -> Iterator[Sign]:
    """Answers that go elsewhere: to an address of anybody, or to one that looks like ours, while From uses a name or a domain of ours."""
    senders = {registrable(address.rpartition("@")[2]) for address in assessment.header_from}
    for address in assessment.reply_to:
        domain = address.rpartition("@")[2] if "@" in address else ""
        if not domain or names.empty or names.is_internal(domain):
            continue
        copied = own_lookalike(domain, names.own)
        if copied is not None and copied.brand == YOUR_OWN and copied.sure:
            yield Sign(
                "reply-to-lookalike", True, f"Answers would go to {shown_address(address)}: {copied.text}", address, lookalike=copied
            )
        elif _elsewhere(address, registrable(domain), senders, found):
            yield Sign("reply-to-elsewhere", False, f"Answers would go to another domain: {shown_address(address)}", address)


def _links(assessment: Assessment, names: Names) -> Iterator[Sign]:
    """Links to hosts that pass for ours or for those of partners, where chance is out of question."""
    if names.empty:
        return
    for host in dict.fromkeys(place(url.url)[0] for url in assessment.urls[:MAX_LINKS]):
        found = own_lookalike(host, names.own) if host else None
        if found is not None and found.sure and found.how != "tld":
            yield Sign(
                "link-lookalike", found.how != "token", f"A link leads to a host that is not what it seems: {found.text}", lookalike=found
            )


def _is_learned(sender: _Sender, assessment: Assessment, policy: Policy) -> bool:
    """Whether the name is one that people here bear in their own mail, and the address one that nobody here has to do with.

    Services write in the names of people here, and people have addresses of their own: an address that one of our users wrote to, and
    those of a company that is known here, are no sign unless authentication failed.
    """
    if not sender.shown or sender.shown not in assessment.named_internal:
        return False
    if not policy.advanced_spam_prevention.impersonation.target.learn_names:
        return False
    if sender.aligned is False:
        return True
    return not assessment.written_to and (sender.everybodys or assessment.first_of_domain is True)


def _unacquainted(assessment: Assessment, policy: Policy, names: Names, found: list[Sign]) -> Iterator[Sign]:
    """What adds to other signs: a sender who never wrote here, a reply in a conversation that never passed here."""
    target = policy.advanced_spam_prevention.impersonation.target
    unknown_thread = assessment.thread == "unknown"
    if unknown_thread and (
        (found and target.first_contact) or (not found and target.suspect_unknown_threads and assessment.first_contact is True)
    ):
        text = "It says it is an answer, but no message of that conversation was ever sent or received here"
        yield Sign("unknown-thread", False, text)
    if (
        assessment.first_contact is True
        and target.first_contact
        and any(_is_worse_from_strangers(sign, assessment, names) for sign in found)
    ):
        sender = assessment.header_from[0]
        if assessment.first_of_domain is True:
            whose = f"anybody at {shown_address(sender.rpartition('@')[2]).replace('.', '[.]')}"
        else:
            whose = shown_address(sender)
        yield Sign("first-contact", False, f"It is the first mail from {whose}, and nobody here ever wrote there")


def _is_worse_from_strangers(sign: Sign, assessment: Assessment, names: Names) -> bool:
    """Whether a first contact makes the sign certain.

    Not where a namesake at another company would be held, nor somebody of the organisation who writes from home (decision 0093).
    """
    if sign.name == "link-lookalike" or not sign.address:
        return False
    if sign.lookalike is not None or assessment.from_aligned is False:
        return True
    return sign.name not in ("internal-name", "learned-name") and _Sender(sign.address, "", assessment.from_aligned, names).false


def _elsewhere(address: str, domain: str, senders: set[str], found: list[Sign]) -> bool:
    """Whether an answer to a name or a domain of ours would go to another domain, and to no address of that person."""
    ours = [sign for sign in found if sign.person is not None or sign.name == "own-domain"]
    return bool(ours) and domain not in senders and not any(sign.person and address in sign.person.addresses for sign in ours)


def shown_address(address: str) -> str:
    """An address in words, cut, on one line."""
    return _clean(address)


def _clean(text: str) -> str:
    if not text.isascii():
        text = "".join([letter for letter in text if unicodedata.category(letter) != "Cf"])
    text = _CONTROL.sub(" ", text).replace("'", "’")
    return text if len(text) <= MAX_NAME_SHOWN else f"{text[: MAX_NAME_SHOWN - 3]}..."


def _note(name: str, text: str) -> Reason:
    return Reason(IMPERSONATION, name, 0.0, text)
