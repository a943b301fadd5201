"""A node without its faces: identities, documents, policy, what tells others, all over one open storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from gateway.app.configured import agency, domains, facilities, matching, medical_authority
from gateway.ihe import iti10, iti46, iti64
from gateway.ihe._client import Call, Poster
from gateway.ihe._later import Deliveries
from gateway.ihe._mllp_client import plain
from gateway.ihe._transport import session
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.ports import Documents, Registry, Resources
from gateway.serve import outgoing
from gateway.serve.enforcing import Enforcement
from gateway.services.break_glass import EmergencyDesk
from gateway.services.break_glass import Rules as EmergencyRules
from gateway.services.documents import DocumentServices
from gateway.services.medical_id import MedicalIds, Participant
from gateway.services.notify import MOVED, Consumer, Notifier
from gateway.services.ondemand.making import OnDemand
from gateway.services.persons import Persons
from gateway.services.policy.access import Access, ScopeOf
from gateway.services.policy.configured import policy_of
from gateway.services.policy.guard import Guard, GuardedDocuments, GuardedRegistry, GuardedResources
from gateway.services.registry.service import RegistryServices
from gateway.services.search import SearchRules, system_aliases
from gateway.settings import Settings
from gateway.storage.opening import Storage


def open_to(caller: Caller, transaction: str) -> Scope:
    """Policy of open mode: the loopback caller sees everything."""
    return UNRESTRICTED


@dataclass(frozen=True, slots=True)
class Core:
    """What the faces of a node have in common, over one open storage."""

    settings: Settings
    parts: Storage
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    enforced: Enforcement | None = None
    """Of enforced mode; None: open mode."""

    @property
    def is_enforced(self) -> bool:
        return self.settings.security.mode == "enforced"

    def access(self) -> Access:
        """Policy, for a node in enforced mode. Raises ConfigurationError for grants nobody can read."""
        return Access(policy_of(self.settings), self.parts.identities, self.emergencies().find, self.clock)

    @property
    def scope_of(self) -> ScopeOf:
        return self.access().scope if self.is_enforced else open_to

    def guard(self) -> Guard:
        return Guard(self.parts.facts, self.parts.consents, self.parts.audit)

    def emergencies(self) -> EmergencyDesk:
        wanted = self.settings.break_glass
        rules = EmergencyRules(wanted.minutes, wanted.fresh_minutes, wanted.notice_hours, wanted.review_days)
        home = self.settings.community.id
        return EmergencyDesk(self.parts.emergencies, self.parts.identities, rules, home, self.clock, self.chance)

    def documents(self) -> DocumentServices:
        community = self.settings.community
        documents: Documents = self.parts.documents
        objects: Registry = self.parts.registry
        if self.is_enforced:
            documents, objects = GuardedDocuments(documents, self.guard()), GuardedRegistry(objects, self.guard())
        return DocumentServices(
            documents=documents,
            objects=objects,
            blobs=self.parts.blobs,
            identities=self.parts.identities,
            audit=self.parts.audit,
            home=community.id,
            affinity_domain=community.affinity_domain,
            repository=community.repository,
            scope_of=self.scope_of,
            clock=self.clock,
            chance=self.chance,
            changing=self.registry(),
            ondemand=self.ondemand(),
        )

    def resources(self) -> Resources:
        """FHIR resources as they are given out; of enforced mode with the second look of the guard."""
        found: Resources = self.parts.resources
        return GuardedResources(found, self.guard()) if self.is_enforced else found

    def ondemand(self) -> OnDemand:
        """What makes documents when they are asked for."""
        return OnDemand(
            resources=self.resources(),
            identities=self.parts.identities,
            author=self.settings.community.name,
            base=f"{self.settings.base_url}/fhir",
            registry=self.registry(),
            snapshots=self.settings.soap.keep_snapshots,
        )

    def registry(self) -> RegistryServices:
        """What submissions, updates and removals work with, on whatever wire they come."""
        return RegistryServices(
            registering=self.parts.registering,
            blobs=self.parts.blobs,
            repository=self.settings.community.repository,
            clock=self.clock,
            chance=self.chance,
            max_document_bytes=self.settings.soap.max_document_bytes,
        )

    def persons(self) -> Persons:
        """The identity index: PIX, PDQ and XCPD on every wire."""
        return Persons(
            index=self.parts.persons,
            keeping=self.parts.keeping,
            clock=self.clock,
            authorities=self.settings.known_authorities,
            affinity_domain=self.settings.community.affinity_domain,
            matching=matching(self.settings),
            automatic=self.settings.matching.mode == "auto",
        )

    def medical_ids(self) -> MedicalIds | None:
        """None where no agency is configured. Raises ConfigurationError."""
        wanted = self.settings.medical_id
        if not wanted.agency:
            return None
        return MedicalIds(
            persons=self.persons(),
            index=self.parts.persons,
            keeping=self.parts.keeping,
            agency=agency(wanted.agency, self.settings),
            clock=self.clock,
            authority=medical_authority(self.settings),
            participants=tuple(
                Participant(
                    one.institution,
                    one.name,
                    frozenset(domains(self.settings, one.authorities, "participants")),
                    one.since,
                    one.until,
                )
                for one in self.settings.participants
            ),
        )

    def notifiers(self) -> tuple[Notifier, Notifier]:
        """What tells the systems of `[[notify]]` of changed ids, and registries of numbers that moved. Raises
        ConfigurationError for a domain nobody knows."""
        parts, community = self.parts, self.settings.community
        find, own = facilities(self.settings).find, community.id.removeprefix("urn:oid:")
        consumers, registries = list[Consumer](), list[Consumer]()
        for one in self.settings.notify:
            wanted = frozenset(domains(self.settings, one.authorities, "notify"))
            to = iti10.Receiver(one.name, one.host, one.port, one.application, one.facility, wanted, one.timeout_s)
            wrap = outgoing.mllp(self.enforced.contexts) if self.enforced else plain
            if one.url:
                v3 = iti46.Receiver(one.name, one.url, one.device, wanted, one.timeout_s)
                call = Call(self._poster(), self.clock, self.chance)
                consumers.append(iti46.consumer(v3, call, community.id))
            elif one.registry:
                registries.append(iti64.consumer(to, self.clock, own, community.affinity_domain, find, wrap))
            else:
                consumers.append(iti10.consumer(to, self.clock, own, find, wrap))
        told = partial(Notifier, parts.outbox, parts.keeping, parts.audit, self.persons().cross_reference, self.clock)
        return told(consumers), told(registries, MOVED)

    def _search_rules(self) -> SearchRules:
        return SearchRules(
            base=f"{self.settings.base_url}/fhir",
            aliases=system_aliases(tuple(one.authority() for one in self.settings.authorities)),
            affinity_domain=self.settings.community.affinity_domain,
        )

    def _poster(self) -> Poster:
        """For questions to peers: of open mode any, of enforced mode by TLS with certificates alone."""
        return cast(Poster, self.enforced.session()) if self.enforced else session(self.settings.federation.connections)

    @contextmanager
    def deliveries(self) -> Iterator[Deliveries]:
        """What answers to other communities go out by that are not given on the same connection."""
        later = Deliveries(self._poster(), self.parts.outbox)
        try:
            yield later
        finally:
            later.close()
