"""All communities a node asks, made of its settings: the one place where the wires of gateway/ihe meet services/federation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from gateway.errors import GatewayError
from gateway.ihe._client import Call, Peer
from gateway.ihe._discovery import Own
from gateway.ihe._held import Held
from gateway.ihe.directory import with_directory
from gateway.ihe.initiating import Deferral, Translate, ask_of, capabilities, discover_by_xcpd
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Clock
from gateway.model.document import DocumentEntry
from gateway.model.identity import PatientId
from gateway.ports import Correlations, Health, Identities, PeerHealth, Resources
from gateway.services.documents import DocumentServices
from gateway.services.federation.breaker import BreakerRules
from gateway.services.federation.channel import Channel, ChannelRules
from gateway.services.federation.discovery import Discovery
from gateway.services.federation.fanout import Admission
from gateway.services.federation.own import own_store
from gateway.services.federation.question import Community
from gateway.services.federation.service import Federation
from gateway.services.persons import Persons
from gateway.services.search import SearchRules
from gateway.settings import Peer as PeerSettings
from gateway.settings import Settings
from gateway.translate.context import Facilities
from gateway.translate.sources import read_file

_OWN_THREADS = 32


@dataclass(frozen=True, slots=True)
class Parts:
    """What the communities are made of; gateway.app fills it."""

    settings: Settings
    documents: DocumentServices
    resources: Resources
    identities: Identities
    persons: Persons
    health: PeerHealth
    correlations: Correlations
    rules: SearchRules
    call: Call
    facilities: Facilities
    clock: Clock
    waiting: Held[Callable[[etree._Element], None]]
    """Our deferred questions; the same as V3Services.discoveries."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One peer with everything that is needed to ask it, for the gateways and for services/federation alike."""

    peer: Peer
    channel: Channel
    community: Community


@dataclass(frozen=True, slots=True)
class Communities:
    federation: Federation
    peers: tuple[Asked, ...]
    own: Channel
    call: Call

    def peer(self, home: str) -> Asked | None:
        """Who answers for a homeCommunityId."""
        return next((one for one in self.peers if one.peer.speaks_for(home)), None)


def communities(parts: Parts) -> Communities:
    parts = replace(parts, settings=with_directory(parts.settings, parts.call))
    settings, clock = parts.settings, parts.clock
    remembered = {health.home: health for health in parts.health.load()}
    asked = tuple(_asked(one, parts, remembered.get(one.id)) for one in settings.peers)
    own = settings.community
    rules = ChannelRules(timeout_s=300.0, threads=_OWN_THREADS)
    channel = Channel(own.id, own.name, rules, clock, guarded=False)

    def own_community(scope: Scope) -> Community:
        ask = own_store(parts.resources, parts.documents, parts.identities, parts.rules, scope, clock)
        return Community(channel, ask)

    federation = Federation(
        home=own.id,
        own=own_community,
        peers=tuple(one.community for one in asked if one.peer.xca or one.peer.fhir),
        discovery=discovery(parts),
        audit=parts.documents.audit,
        clock=clock,
        admission=Admission(settings.federation.max_questions),
        deadline_s=settings.federation.deadline_s,
    )
    return Communities(federation, asked, channel, parts.call)


def discovery(parts: Parts) -> Discovery:
    community = parts.settings.community
    return Discovery(
        parts.persons,
        parts.correlations,
        parts.clock,
        tuple(one.authority() for one in parts.settings.authorities),
        community.affinity_domain,
    )


def _asked(one: PeerSettings, parts: Parts, remembered: Health | None) -> Asked:
    federation, community = parts.settings.federation, parts.settings.community
    peer = Peer(one.id, one.xca, one.name, one.documents_per_request, one.xcpd, one.fhir.rstrip("/"), tuple(one.homes))
    rules = ChannelRules(
        timeout_s=one.timeout_s,
        threads=federation.connections,
        breaker=BreakerRules(
            federation.breaker_failures, federation.breaker_pause_s, federation.breaker_longest_pause_s
        ),
    )
    channel = Channel(one.id, one.name, rules, parts.clock, health=parts.health, memory=remembered)
    own = Own(community.id, community.id.removeprefix("urn:oid:"), community.affinity_domain)
    deferral = Deferral(f"{parts.settings.base_url}/xcpd", parts.waiting, discovery(parts).keep)
    translate, rules_, said = translation(parts.facilities), replace(parts.rules, base=""), capabilities(parts.clock)

    def by(caller: Caller) -> Community:
        return made(parts.call.by(caller))

    def made(call: Call) -> Community:
        discover = discover_by_xcpd(peer, own, call, deferral) if one.xcpd else None
        return Community(channel, ask_of(peer, call, translate, rules_, said), discover, by)

    return Asked(peer, channel, made(parts.call))


def translation(facilities: Facilities) -> Translate:
    """An original message (ER7) of another community as FHIR, by the rules of this node. Its facility is that of the
    patient number in the registry entry, so that a fact has the id it has there."""

    def translate(data: bytes, entry: DocumentEntry) -> list[dict[str, Any]]:
        try:
            facility = PatientId.parse(entry.sourcePatientId).authority
        except ValueError:
            facility = ""
        made = read_file(data, "", facilities, facility=facility)
        if any(one.rejected for one in made):
            raise Unreadable("a message that is not read here either")
        return [resource for one in made for resource in one.resources]

    return translate


class Unreadable(GatewayError):
    """A document that cannot be turned into FHIR."""
