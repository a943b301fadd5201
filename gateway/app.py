"""Composition root: settings in, running parts out. The one place that knows every layer at once."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, BinaryIO, cast

from gateway import ihe, mapping_files
from gateway.codec import fhir, ssmix2
from gateway.codec.mllp import Block
from gateway.codec.packing import pack
from gateway.errors import ConfigurationError
from gateway.fhir.audit_events import Trail
from gateway.fhir.federated import FederatedServices
from gateway.fhir.server import FhirServices
from gateway.fhir.trust import TrustFaces
from gateway.ihe import iti10, iti46, iti53, iti64, iti112
from gateway.ihe._client import Call, Poster
from gateway.ihe._continuation import KEPT as POINTERS
from gateway.ihe._continuation import KEPT_S as POINTERS_S
from gateway.ihe._continuation import Continuations
from gateway.ihe._dsub import DsubServices
from gateway.ihe._dsubm import DsubmServices
from gateway.ihe._gateway import GatewayServices
from gateway.ihe._held import Held, Remembered
from gateway.ihe._later import Deliveries, allowed
from gateway.ihe._mhd import MhdServices
from gateway.ihe._mllp_client import plain
from gateway.ihe._remembered import CONTINUATION, CORRELATIONS, QUERY
from gateway.ihe._soap import Asker, WireResponse
from gateway.ihe._transaction import Sender
from gateway.ihe._transport import session
from gateway.ihe._v2 import Replies, V2Services, answer, failed
from gateway.ihe._v3 import CORRELATION_S, Later, V3Services
from gateway.ihe.communities import Communities, communities
from gateway.ihe.communities import Parts as CommunityParts
from gateway.ihe.topology import Topology
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.identity import PatientId
from gateway.model.resource import ReferenceClause, SearchPlan
from gateway.ports import Documents, MedicalIdAgency, Registry
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from gateway.sandbox.medical_id import SandboxAgency
from gateway.serve import outgoing
from gateway.serve.authentication import Connected, Open
from gateway.serve.enforcing import Enforcement, contexts_of, enforcement
from gateway.serve.federation_api import FederationApi
from gateway.serve.housekeeping import Sweep, in_turn
from gateway.serve.http import HttpServices, create_app
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import MllpServer
from gateway.serve.server import HttpServer, Listener, Together, run_until_signal
from gateway.serve.trust_work import TrustParts, works
from gateway.serve.worker import Worker
from gateway.services.break_glass import EmergencyDesk
from gateway.services.break_glass import Rules as EmergencyRules
from gateway.services.broker import Broker
from gateway.services.consent import ConsentDesk
from gateway.services.documents import DocumentServices
from gateway.services.federation.snapshots import Snapshots
from gateway.services.feed import Feed, Readers
from gateway.services.ingest.deriving import derivations
from gateway.services.ingest.files import walk
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.reading import Reader, make_reader
from gateway.services.ingest.run import Ingestor
from gateway.services.ingest.workers import read_all
from gateway.services.matching import Matching
from gateway.services.medical_id import MedicalIds, Participant
from gateway.services.notebooks import owner_of
from gateway.services.notify import MOVED, Consumer, Notifier
from gateway.services.ondemand.making import OnDemand
from gateway.services.persons import Persons
from gateway.services.persons.describing import describing
from gateway.services.policy.access import Access, ScopeOf
from gateway.services.policy.configured import policy_of
from gateway.services.policy.guard import Guard, GuardedDocuments, GuardedRegistry, GuardedResources
from gateway.services.quality import Quality, make_quality_reader, merged
from gateway.services.registers import load as load_registers
from gateway.services.registry.service import RegistryServices
from gateway.services.search import TYPES, SearchRules, system_aliases
from gateway.settings import Settings, check_may_serve
from gateway.storage.audit_search import AuditTrailTable
from gateway.storage.blob_files import FileObjects
from gateway.storage.blob_s3 import S3Objects, S3Place
from gateway.storage.blobs import Objects
from gateway.storage.engines import database_of
from gateway.storage.opening import Storage, opened, opened_trail
from gateway.storage.upgrade import differences
from gateway.translate.context import Facilities
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.structures import compile_all

ROLES = ("http", "mllp")
"""What `musubi serve` can run in this version."""
_READERS = 4
"""Messages that are translated at the same time; the threads that wait for a commit are more."""

_LOG = logging.getLogger("gateway.app")


def software_version() -> str:
    try:
        return version("musubi-gateway")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"


@cache
def validator() -> Validator:
    """R4, JP Core and the packages of MUSUBI_FHIR_PACKAGES; compiled on first use, once a process."""
    return Validator.from_environment()


def use_mapping(settings: Settings) -> None:
    """The site's overlay, before anything is translated. Raises ConfigurationError when it cannot be used."""
    mapping_files.configure(settings.overlay)
    compile_all()


@cache
def fhir_xml() -> FhirXml:
    return FhirXml(validator().tables)


def facilities(settings: Settings) -> Facilities:
    use_mapping(settings)
    return Facilities(settings.known_authorities, exchange=registers(settings))


def registers(settings: Settings) -> Registers:
    """Registration lists and limits of exchange files. Raises ConfigurationError for a list that cannot be read."""
    wanted = settings.exchange_spec
    return load_registers(settings.exchange_lists, wanted.versions, wanted.ranges)


def matching(settings: Settings) -> Matching | None:
    """What compares records; None when it is off. Raises ConfigurationError for weights that cannot be read."""
    if settings.matching.mode == "off":
        return None
    return Matching.load(settings.matching_weights, settings.known_authorities)


def _medical_authority(settings: Settings) -> str:
    """OID of the medical ID. Raises ConfigurationError when it is not clear which it is."""
    if settings.medical_id.authority:
        return domains(settings, [settings.medical_id.authority], "medical_id")[0]
    found = [one.oid for one in settings.authorities if one.kind == "medical-id"]
    if len(found) != 1:
        raise ConfigurationError("medical_id.authority has to name one of the [[authorities]] of kind medical-id")
    return found[0]


def _agency(name: str, settings: Settings) -> MedicalIdAgency:
    """Who gives medical IDs out. Raises ConfigurationError for a name nobody installed."""
    if name == "simulator":
        return SandboxAgency(file=settings.directory / "medical-id-simulator.json")
    found = next(iter(entry_points(group="gateway.agencies", name=name)), None)
    if found is None:
        raise ConfigurationError(f"medical_id.agency: no installed package offers {name!r} (group gateway.agencies)")
    agency: MedicalIdAgency = found.load()(settings)
    return agency


def senders(settings: Settings) -> tuple[Sender, ...]:
    """Raises ConfigurationError for a domain nobody knows."""
    return tuple(
        Sender(one.application, one.facility, frozenset(domains(settings, one.authorities, "senders")))
        for one in settings.senders
    )


def domains(settings: Settings, names: Sequence[str], section: str) -> tuple[str, ...]:
    """OIDs of domains named by OID, namespace or alias. Raises ConfigurationError."""
    known = Facilities(settings.known_authorities)
    found = [known.find(name) for name in names]
    if None in found:
        raise ConfigurationError(f"{section}: {names[found.index(None)]!r} is none of [[authorities]]")
    return tuple(one.oid for one in found if one is not None)


def blob_objects(settings: Settings) -> Objects:
    """Where large documents are. Raises ConfigurationError."""
    if folder := settings.blob_directory:
        return FileObjects(folder)
    given = settings.blobs
    place = S3Place(
        given.url,
        given.endpoint,
        given.region,
        settings.secret(given.access_key_file, "[blobs] access_key_file"),
        settings.secret(given.secret_key_file, "[blobs] secret_key_file"),
    )
    return S3Objects(place)


def check_blobs(settings: Settings) -> None:
    """Whether the object store answers and takes something; a folder is looked at otherwise. Raises Unavailable."""
    objects = blob_objects(settings)
    if isinstance(objects, S3Objects):
        objects.check()


@contextmanager
def storage(settings: Settings, clock: Clock | None = None) -> Iterator[Storage]:
    """The node's storage, open. Raises ConfigurationError when it cannot be used."""
    use_mapping(settings)
    with opened(
        settings.database_url,
        blob_objects(settings),
        affinity_domain=settings.community.affinity_domain,
        derive=derivations(settings.community.affinity_domain, describing(matching(settings), settings.matching.mode)),
        clock=clock or Clock(),
    ) as parts:
        yield parts


def reading_rules(settings: Settings, facility: str = "") -> ReadingRules:
    return ReadingRules(
        authorities=settings.known_authorities,
        repository=settings.community.repository,
        facility=facility,
        max_file_bytes=settings.ingest.max_file_bytes,
        max_document_bytes=settings.ingest.max_document_bytes,
        overlay=settings.overlay,
        exchange=registers(settings),
    )


def ingestor(settings: Settings, parts: Storage, facility: str = "", patient: PatientId | None = None) -> Ingestor:
    rules = replace(reading_rules(settings, facility), patient=patient)
    return Ingestor(
        keeping=parts.keeping,
        audit=parts.audit,
        make_reader=partial(make_reader, rules),
        ignored=lambda name: bool(ssmix2.ignored(name)),
        owner=owner_of(patient, parts.identities, parts.resources, UNRESTRICTED) if patient else None,
    )


def quality(settings: Settings, paths: Sequence[str], *, facility: str = "", workers: int = 0) -> Quality:
    """What a storage or a feed is like, counted. Raises Unavailable when a worker process dies."""
    found = (one for one in walk(paths, lambda name: bool(ssmix2.ignored(name))) if one is not None)
    # Workers only know that their reader has `read`.
    reader = cast(Any, partial(make_quality_reader, reading_rules(settings, facility)))
    return merged(cast(Iterator[Quality], read_all(found, reader, workers or settings.ingest.workers)))


def quality_of_node(settings: Settings, parts: Storage) -> Quality:
    """The same of the original messages that the node's current documents were made of."""
    reader = make_quality_reader(reading_rules(settings))

    def counted() -> Iterator[Quality]:
        for address in parts.documents.originals(UNRESTRICTED):
            with parts.blobs.open(address) as stream:
                yield reader.count(stream.read(), "")

    return merged(counted())


def open_to(caller: Caller, transaction: str) -> Scope:
    """Policy of open mode: the loopback caller sees everything."""
    return UNRESTRICTED


@dataclass(frozen=True, slots=True)
class Node:
    """A running node's services over one open storage."""

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

    def trust(self) -> TrustFaces:
        """Consent, the audit trail and emergency access on the FHIR base."""
        parts, persons = self.parts, self.persons()
        desk = ConsentDesk(parts.consents, persons, parts.identities, parts.facts, self.clock, self.chance)
        trail = Trail(parts.trail, parts.identities, persons, self.settings.community.id)
        return TrustFaces(desk, self.emergencies(), trail)

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

    def ondemand(self) -> OnDemand:
        """What makes documents when they are asked for."""
        return OnDemand(
            resources=self.parts.resources,
            identities=self.parts.identities,
            author=self.settings.community.name,
            base=f"{self.settings.http.url}/fhir",
            registry=self.registry(),
            snapshots=self.settings.soap.keep_snapshots,
        )

    def dsub(self) -> DsubServices:
        return DsubServices(self.broker(), self.parts.audit, self.scope_of, self.chance)

    def broker(self) -> Broker:
        """Tells subscribers of new documents."""
        parts, base = self.parts, self.settings.http.url
        peers = [*self.settings.notifications.addresses, *(peer.fhir for peer in self.settings.peers)]
        broker = Broker(
            parts.subscriptions, parts.outbox, parts.registry, parts.identities, parts.audit, self.scope_of,
            allowed(peers, loopback=self.settings.security.mode == "open"), base, self.clock, self.chance,
        )  # fmt: skip
        mhd = self.mhd(self.persons(), self._search_rules(), b"")  # shows resources, answers no search
        broker.send = {
            "dsub": iti53.sender(self._poster(), base, self.settings.community.id),
            "fhir": iti112.sender(self._poster(), DsubmServices(broker, mhd), f"{base}/fhir"),
        }
        return broker

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
            agency=_agency(wanted.agency, self.settings),
            clock=self.clock,
            authority=_medical_authority(self.settings),
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

    def fhir(self) -> FhirServices:
        community, cursor_key, persons, rules = (
            self.settings.community,
            self.chance.token(32),
            self.persons(),
            self._search_rules(),
        )
        return FhirServices(
            resources=GuardedResources(self.parts.resources, self.guard())
            if self.is_enforced
            else self.parts.resources,
            audit=self.parts.audit,
            rules=rules,
            cursor_key=cursor_key,
            version=software_version(),
            started=self.clock.now().isoformat(timespec="seconds"),
            mode=self.settings.security.mode,
            persons=persons,
            render_xml=fhir_xml().render,
            parse_xml=fhir_xml().parse,
            check=validator().check,
            permit=self.access().fhir if self.is_enforced else None,
            trust=self.trust(),
            persons_of=self.parts.facts.persons_of,
            name=community.name,
            transactions=ihe.on_fhir(*self._documents_on_fhir(persons, rules, cursor_key)),
        )

    def _documents_on_fhir(
        self, persons: Persons, rules: SearchRules, cursor_key: bytes
    ) -> tuple[MhdServices, DsubmServices]:
        mhd = self.mhd(persons, rules, cursor_key)
        return mhd, DsubmServices(self.broker(), mhd)

    def mhd(self, persons: Persons, rules: SearchRules, cursor_key: bytes) -> MhdServices:
        """Documents on the FHIR face."""
        xml = fhir_xml()
        return MhdServices(
            self.documents(), persons, self.parts.resources, rules, cursor_key, xml.parse, xml.render, validator().check,
        )  # fmt: skip

    def _search_rules(self) -> SearchRules:
        return SearchRules(
            base=f"{self.settings.http.url}/fhir",
            aliases=system_aliases(tuple(one.authority() for one in self.settings.authorities)),
            affinity_domain=self.settings.community.affinity_domain,
        )

    def v2(self) -> V2Services:
        """What the MLLP listener needs."""
        mllp, parts = self.settings.mllp, self.parts
        rules, compiled = reading_rules(self.settings), validator()

        def reader() -> Reader:
            return Reader(rules, compiled.remembering().check, pack)

        feed = Feed(
            keeping=parts.keeping,
            audit=parts.audit,
            readers=Readers(reader, _READERS),
            facilities=facilities(self.settings),
            clock=self.clock,
            reject_reused=mllp.reused_control_id == "reject",
        )
        return V2Services(
            feed=feed,
            processing_ids=frozenset(mllp.processing_ids),
            persons=self.persons(),
            audit=parts.audit,
            senders=senders(self.settings),
            visits=self._visits,
            scope_of=self.scope_of,
            continuations=Continuations(Remembered(parts.memory, self.clock, "ITI-21", QUERY, POINTERS, POINTERS_S)),
        )

    def _visits(self, patient: str, scope: Scope) -> list[dict[str, Any]]:
        """The newest Encounters of a Patient, oldest first."""
        clause = ReferenceClause("patient", (patient,))
        plan = SearchPlan("Encounter", None, (clause,), 100, sort=("-date",), with_total=False)
        return [fhir.parse(row.body) for row in reversed(self.parts.resources.search(plan, scope).rows)]

    def v3(self, later: Later | None = None) -> V3Services:
        """What /pixv3, /pdqv3 and /xcpd work with; without `later` nothing is answered but on the same connection."""
        community, memory = self.settings.community, self.parts.memory
        peers = [url for peer in self.settings.peers for url in (peer.xcpd, peer.xca, peer.fhir)]
        return V3Services(
            persons=self.persons(),
            audit=self.parts.audit,
            home=community.id,
            affinity_domain=community.affinity_domain,
            device=community.id.removeprefix("urn:oid:"),
            scope_of=self.scope_of,
            continuations=Remembered(memory, self.clock, "ITI-47", CONTINUATION),
            correlations=Remembered(memory, self.clock, "ITI-55", CORRELATIONS, 100_000, CORRELATION_S),
            discoveries=Held(self.clock.monotonic, seconds=CORRELATION_S),
            later=later,
            may_reply=allowed(peers, loopback=self.settings.security.mode == "open"),
            senders=senders(self.settings),
            strict_receiver=self.settings.soap.strict_receiver,
            clock=self.clock,
            chance=self.chance,
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

    def http(
        self, ready: Mapping[str, Any], counts: Callable[[], str] = str, later: Later | None = None
    ) -> HttpServices:
        documents, persons, dsub = self.documents(), self.v3(later), self.dsub()
        call = Call(self._poster(), self.clock, self.chance)
        everybody = self.communities(call, persons.discoveries)
        gateway = GatewayServices(documents, everybody, later, persons.may_reply)
        special: dict[str, ihe.Services] = {"/dsub": dsub, ihe.INITIATING_PATH: gateway}
        special |= dict.fromkeys(ihe.PERSON_PATHS, persons)

        def soap(path: str, content_type: str, body: BinaryIO, caller: Caller, asker: Asker | None) -> WireResponse:
            return ihe.dispatch(path, content_type, body, special.get(path, documents), caller, asker)

        return HttpServices(
            fhir=self.fhir(),
            soap=soap,
            federation=self.federation(everybody),
            scope=self.scope_of,
            ready=lambda: {role: bool(listens()) for role, listens in ready.items()},
            audit=self.parts.audit,
            clock=self.clock,
            chance=self.chance,
            mode=self.settings.security.mode,
            max_body_bytes=self.settings.http.max_body_bytes,
            max_soap_bytes=self.settings.soap.max_body_bytes,
            max_upload_bytes=self.settings.soap.max_message_bytes,
            counts=counts,
            subscriptions=self.parts.subscriptions,
            medical_ids=self.medical_ids(),
            authentication=self.enforced.authentication if self.enforced else Open(),
            tokens=self.enforced.token_api if self.enforced else None,
            strict_401=self.settings.security.iua_strict_401,
        )

    def communities(self, call: Call, waiting: Held[Any]) -> Communities:
        """Everybody this node asks, itself included; `waiting`: V3Services.discoveries."""
        parts = self.parts
        return communities(
            CommunityParts(
                settings=self.settings,
                documents=self.documents(),
                resources=parts.resources,
                identities=parts.identities,
                persons=self.persons(),
                health=parts.health,
                correlations=parts.correlations,
                rules=self._search_rules(),
                call=call,
                facilities=facilities(self.settings),
                clock=self.clock,
                waiting=waiting,
            )
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

    def federation(self, everybody: Communities) -> FederationApi:
        known = [one.authority() for one in self.settings.authorities]
        fhir = FederatedServices(
            federation=everybody.federation,
            persons=self.persons(),
            rules=self._search_rules(),
            cursor_key=self.chance.token(32),
            snapshots=Snapshots(self.clock.monotonic),
            render_xml=fhir_xml().render,
            chance=self.chance,
        )
        names = {one.patient_system: one.name or one.namespace or one.oid for one in known}
        return FederationApi(fhir, names, Topology(everybody, self.clock).shown)


@contextmanager
def audit_trail(settings: Settings) -> Iterator[AuditTrailTable]:
    """The audit trail, for reading. Raises ConfigurationError."""
    with opened_trail(settings.database_url) as trail:
        yield trail


def integrity(parts: Storage) -> list[str]:
    """What is wrong with the database and its tables, in the database's words; empty when nothing is."""
    with parts.engine.connect() as connection:
        found = database_of(connection).damage(connection)
    tables = differences(parts.engine)
    return found + ([f"{len(tables)} differences of schema"] if tables else [])


def newest(parts: Storage) -> str:
    """meta.lastUpdated of the youngest resource (FHIR instant); empty for an empty store."""
    plans = (SearchPlan(type_, None, (), 1, sort=("-_lastUpdated",), with_total=False) for type_ in TYPES)
    pages = (parts.resources.search(plan, UNRESTRICTED) for plan in plans)
    return max((row.last_updated for page in pages for row in page.rows), default="")


def serve(settings: Settings, roles: tuple[str, ...] = ROLES, *, announce: Callable[[], None] = lambda: None) -> None:
    """Runs a node until SIGTERM or SIGINT. Raises ConfigurationError and Unavailable before it listens; `announce`
    is called when it does."""
    check_may_serve(settings, roles)
    clock, chance = Clock(), Chance()
    trust = settings.security.mode == "enforced"
    if trust:
        contexts_of(settings, clock)  # before anything is made
    with storage(settings) as parts:
        enforced = enforcement(settings, parts.audit, clock, chance) if trust else None
        node = Node(settings, parts, clock, chance, enforced)
        with node.deliveries() as later:
            _listen(node, roles, later, announce)


def _listen(node: Node, roles: tuple[str, ...], later: Later, announce: Callable[[], None]) -> None:
    parts, listening = node.parts, dict[str, Any]()
    counts = MllpMetrics()
    listeners: list[Listener] = []
    if "http" in roles:
        shown = counts.render if "mllp" in roles else str
        guard = node.enforced.guard() if node.enforced else None
        http = HttpServer(node.settings, create_app(node.http(listening, shown, later)), guard)
        listening["http"] = lambda: http.listening
        listeners.append(http)
    if "mllp" in roles:
        mllp = _mllp(node, counts)
        listening["mllp"] = lambda: mllp.listening
        listeners.append(mllp)
    listeners.append(_notifying(node))
    listeners.append(Worker(in_turn(parts.turns, "broker", node.broker().run_once)))
    trust = TrustParts(parts.trail, parts.audit, parts.keeping, parts.outbox, parts.identities, node.clock)
    listeners += [
        Worker(in_turn(parts.turns, f"trust-{at}", work)) for at, work in enumerate(works(node.settings, trust))
    ]
    listeners.append(Worker(Sweep(parts.blobs.sweep, parts.turns, node.clock).run_once, 60.0))
    _lived(parts, "110120", roles)
    _LOG.info("process %s serves %s", os.getpid(), ", ".join(roles))
    run_until_signal(Together(*listeners), announce)
    _lived(parts, "110121", roles)
    _LOG.info("stopped; %s threads left", threading.active_count() - 1)


def _notifying(node: Node) -> Worker:
    """What tells other systems of changed ids: in every serving process, and in one of a database at a time."""
    persons, registries = node.notifiers()

    def both() -> bool:
        return any([persons.run_once(), registries.run_once()])

    return Worker(in_turn(node.parts.turns, "notify", both))


def _lived(parts: Storage, type_: str, roles: Sequence[str]) -> None:
    """110100 Application Activity: the node started or stopped."""
    parts.audit.record(AuditRecord("110100", type_, "E", 0, "musubi serve", detail=" ".join(roles)))


def _mllp(node: Node, counts: MllpMetrics) -> MllpServer:
    services, enforced = node.v2(), node.enforced

    def handle(block: Block, address: str) -> Replies:
        return answer(block, address, services)

    def of_node(block: Block, connected: Connected) -> Replies:
        def scope(caller: Caller, transaction: str) -> Scope:
            return services.scope_of(replace(caller, node=connected.node.id), transaction)

        return answer(block, connected.address, replace(services, scope_of=scope, may=connected.node.may))

    def not_handled(block: Block, error: Exception) -> Replies:
        return failed(block, error, services)

    secured = enforced.mllp(of_node) if enforced else None
    per_node = node.settings.security.connections_per_node
    return MllpServer(node.settings.mllp, handle, not_handled, counts, secured, per_node)
