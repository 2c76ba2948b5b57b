"""What all ways of asking share: the zones, who may ask, who may transfer."""

from __future__ import annotations

from collections import Counter

import structlog

from mailward.gateway.settings import Settings
from mailward.gateway.zones import own_zones, url_zone
from mailward.reputation.snapshot import SnapshotError
from mailward.reputation.zone import wire
from mailward.reputation.zone.answerer import Answerer, read
from mailward.reputation.zone.apex import Served
from mailward.reputation.zone.keys import SIGNATURE_OCTETS, Keys, Refused, Signer
from mailward.reputation.zone.wire import Question, Rcode
from mailward.servers.dns import limits


class Service:
    """One for the process. Raises ValueError for a key that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        own = settings.reputation
        self._log = structlog.get_logger("mailward.dns")
        self.zones: tuple[Served, ...] = (*own_zones(settings, mapped=False), url_zone(settings, mapped=False))
        self.follow(force=True)
        self._answerer = Answerer(self.zones, own.access_codes)
        self._everybody = not own.query_networks and not own.access_codes
        self._askers, self._transferrers = own.query_networks, own.transfer_networks
        self._keys = Keys(own.transfer_keys)
        self._trusted: dict[str, bool] = {}
        self.counts: Counter[str] = Counter()

    def follow(self, *, force: bool = False) -> list[Served]:
        """Take up newer snapshots; which zones changed. A damaged one is logged and the old one stays."""
        changed = []
        for zone in self.zones:
            try:
                if zone.follow(force=force):
                    changed.append(zone)
            except (SnapshotError, OSError) as error:
                self._log.error("snapshot_damaged", zone=zone.name, error=str(error))
        return changed

    def answer(self, data: bytes, host: str, now: float, *, udp: bool, cut: bool = False) -> bytes | None:
        """The answer to one message from that address, None for silence. `cut`: a truncated one, whatever was asked."""
        question = read(data)
        if not isinstance(question, Question):
            return question
        most = 0 if cut else wire.room(data, question.payload) if udp else wire.TCP_PAYLOAD
        if question.signed and not cut:
            return self._signed(data, question, host, now, most)
        return self._answerer.reply(question, now, most, self._everybody or self._trusts(host))

    def _signed(self, data: bytes, question: Question, host: str, now: float, most: int) -> bytes:
        try:
            signer = self._keys.check(data)
        except Refused as error:
            self._log.warning("signature_refused", client=host, reason=str(error))
            return wire.reply(question, Rcode.NOTAUTH, most, ours=False)
        return signer.sign(self._answerer.reply(question, now, most - SIGNATURE_OCTETS, trusted=True))  # who has a key may ask

    def _trusts(self, host: str) -> bool:
        """Whether a client needs no access code."""
        known = self._trusted.get(host)
        if known is None:
            if len(self._trusted) >= limits.MAX_CLIENTS:
                self._trusted.clear()
            known = self._trusted[host] = self._askers.match(host.partition("%")[0]) is not None
        return known

    # Transfers

    def may_transfer(self, data: bytes, question: Question, host: str) -> tuple[Served, Signer | None] | None:
        """The zone that is handed out and who signs it; None where the client may not have it, or it is none of ours."""
        zone = self._answerer.zone_of(question)
        signer = None
        try:
            if question.signed:
                signer = self._keys.check(data)
        except Refused as error:
            self._log.warning("signature_refused", client=host, reason=str(error))
            return None
        allowed = signer is not None or self._transferrers.match(host.partition("%")[0]) is not None
        if zone is None or not allowed or question.rclass != wire.IN:
            self._log.warning("transfer_refused", client=host, zone=zone.name if zone else "", signed=question.signed)
            return None
        return zone, signer
