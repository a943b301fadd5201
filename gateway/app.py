"""Composition root: settings in, running parts out. The one place that knows every layer at once."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, BinaryIO, cast

import requests

from gateway import ihe, mapping_files
from gateway.codec import fhir, ssmix2
from gateway.codec.mllp import Block
from gateway.codec.packing import pack
from gateway.errors import ConfigurationError
from gateway.fhir.federated import FederatedServices
from gateway.fhir.server import FhirServices
from gateway.ihe import iti10, iti46
from gateway.ihe._client import Call, Poster
from gateway.ihe._gateway import GatewayServices
from gateway.ihe._held import Held
from gateway.ihe._later import Deliveries, allowed
from gateway.ihe._soap import WireResponse
from gateway.ihe._transaction import Sender
from gateway.ihe._transport import session
from gateway.ihe._v2 import Replies, V2Services, answer, failed
from gateway.ihe._v3 import CORRELATION_S, Later, V3Services
from gateway.ihe.communities import Communities, communities
from gateway.ihe.communities import Parts as CommunityParts
from gateway.ihe.topology import Topology
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.identity import PatientId
from gateway.model.resource import ReferenceClause, SearchPlan
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from gateway.serve.federation_api import FederationApi
from gateway.serve.http import HttpServices, create_app
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import MllpServer
from gateway.serve.server import HttpServer, Listener, Together, run_until_signal
from gateway.serve.worker import Worker
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
from gateway.services.notebooks import owner_of
from gateway.services.notify import Notifier
from gateway.services.persons import Persons
from gateway.services.persons.describing import describing
from gateway.services.quality import Quality, make_quality_reader, merged
from gateway.services.registers import load as load_registers
from gateway.services.search import TYPES, SearchRules, system_aliases
from gateway.settings import Settings, check_may_serve
from gateway.storage.opening import Storage, opened
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
    return Matching.load(None, tuple(one.authority() for one in settings.authorities))


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


@contextmanager
def storage(settings: Settings, clock: Clock | None = None) -> Iterator[Storage]:
    """The node's storage, open. Raises ConfigurationError when it cannot be used."""
    use_mapping(settings)
    with opened(
        settings.database_url,
        settings.blob_directory,
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


def scope_of(caller: Caller) -> Scope:
    """Policy of open mode: the loopback caller sees everything. Enforced mode does not start yet (settings.py)."""
    return UNRESTRICTED


@dataclass(frozen=True, slots=True)
class Node:
    """A running node's services over one open storage."""

    settings: Settings
    parts: Storage
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)

    def documents(self) -> DocumentServices:
        community = self.settings.community
        return DocumentServices(
            documents=self.parts.documents,
            blobs=self.parts.blobs,
            identities=self.parts.identities,
            audit=self.parts.audit,
            home=community.id,
            affinity_domain=community.affinity_domain,
            repository=community.repository,
            scope_of=scope_of,
            clock=self.clock,
            chance=self.chance,
        )

    def persons(self) -> Persons:
        """The identity index: PIX, PDQ and XCPD on every wire."""
        return Persons(
            index=self.parts.persons,
            keeping=self.parts.keeping,
            clock=self.clock,
            authorities=tuple(one.authority() for one in self.settings.authorities),
            affinity_domain=self.settings.community.affinity_domain,
            matching=matching(self.settings),
            automatic=self.settings.matching.mode == "auto",
        )

    def fhir(self) -> FhirServices:
        return FhirServices(
            resources=self.parts.resources,
            audit=self.parts.audit,
            rules=self._search_rules(),
            cursor_key=self.chance.token(32),
            version=software_version(),
            started=self.clock.now().isoformat(timespec="seconds"),
            mode=self.settings.security.mode,
            persons=self.persons(),
            render_xml=fhir_xml().render,
            parse_xml=fhir_xml().parse,
            check=validator().check,
        )

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
            scope_of=scope_of,
        )

    def _visits(self, patient: str, scope: Scope) -> list[dict[str, Any]]:
        """The newest Encounters of a Patient, oldest first."""
        clause = ReferenceClause("patient", (patient,))
        plan = SearchPlan("Encounter", None, (clause,), 100, sort=("-date",), with_total=False)
        return [fhir.parse(row.body) for row in reversed(self.parts.resources.search(plan, scope).rows)]

    def v3(self, later: Later | None = None) -> V3Services:
        """What /pixv3, /pdqv3 and /xcpd work with; without `later` nothing is answered but on the same connection."""
        community, monotonic = self.settings.community, self.clock.monotonic
        peers = [url for peer in self.settings.peers for url in (peer.xcpd, peer.xca, peer.fhir)]
        return V3Services(
            persons=self.persons(),
            audit=self.parts.audit,
            home=community.id,
            affinity_domain=community.affinity_domain,
            device=community.id.removeprefix("urn:oid:"),
            scope_of=scope_of,
            continuations=Held(monotonic),
            correlations=Held(monotonic, most=100_000, seconds=CORRELATION_S),
            discoveries=Held(monotonic, seconds=CORRELATION_S),
            later=later,
            may_reply=allowed(peers, loopback=self.settings.security.mode == "open"),
            senders=senders(self.settings),
            strict_receiver=self.settings.soap.strict_receiver,
            clock=self.clock,
            chance=self.chance,
        )

    def notifier(self) -> Notifier:
        """Tells the systems of `[[notify]]` of changed ids. Raises ConfigurationError for a domain nobody knows."""
        parts, community = self.parts, self.settings.community
        find = facilities(self.settings).find
        consumers = []
        for one in self.settings.notify:
            wanted = frozenset(domains(self.settings, one.authorities, "notify"))
            if one.url:
                v3 = iti46.Receiver(one.name, one.url, one.device, wanted, one.timeout_s)
                consumers.append(iti46.consumer(v3, Call(_session(), self.clock, self.chance), community.id))
                continue
            to = iti10.Receiver(one.name, one.host, one.port, one.application, one.facility, wanted, one.timeout_s)
            consumers.append(iti10.consumer(to, self.clock, community.id.removeprefix("urn:oid:"), find))
        cross_reference = self.persons().cross_reference
        return Notifier(parts.outbox, parts.keeping, parts.audit, cross_reference, self.clock, consumers)

    def http(
        self, ready: Mapping[str, Any], counts: Callable[[], str] = str, later: Later | None = None
    ) -> HttpServices:
        documents, persons = self.documents(), self.v3(later)
        call = Call(session(self.settings.federation.connections), self.clock, self.chance)
        everybody = self.communities(call, persons.discoveries)
        gateway = GatewayServices(documents, everybody, later, persons.may_reply)

        def soap(path: str, content_type: str, body: BinaryIO, caller: Caller) -> WireResponse:
            services = persons if path in ihe.PERSON_PATHS else gateway if path == ihe.INITIATING_PATH else documents
            return ihe.dispatch(path, content_type, body, services, caller)

        return HttpServices(
            fhir=self.fhir(),
            soap=soap,
            federation=self.federation(everybody),
            scope=scope_of,
            ready=lambda: {role: bool(listens()) for role, listens in ready.items()},
            audit=self.parts.audit,
            clock=self.clock,
            chance=self.chance,
            mode=self.settings.security.mode,
            max_body_bytes=self.settings.http.max_body_bytes,
            counts=counts,
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


def integrity(parts: Storage) -> list[str]:
    """What is wrong with the database file and its tables, in the database's words; empty when nothing is."""
    with parts.engine.connect() as connection:
        found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(10)")]
    tables = differences(parts.engine)
    return [words for words in found if words != "ok"] + ([f"{len(tables)} differences of schema"] if tables else [])


def newest(parts: Storage) -> str:
    """meta.lastUpdated of the youngest resource (FHIR instant); empty for an empty store."""
    plans = (SearchPlan(type_, None, (), 1, sort=("-_lastUpdated",), with_total=False) for type_ in TYPES)
    pages = (parts.resources.search(plan, UNRESTRICTED) for plan in plans)
    return max((row.last_updated for page in pages for row in page.rows), default="")


def serve(settings: Settings, roles: tuple[str, ...] = ROLES, *, announce: Callable[[], None] = lambda: None) -> None:
    """Runs a node until SIGTERM or SIGINT. Raises ConfigurationError and Unavailable before it listens; `announce`
    is called when it does."""
    check_may_serve(settings, roles)
    with storage(settings) as parts, _deliveries() as later:
        listening: dict[str, Any] = {}
        node = Node(settings, parts)
        counts = MllpMetrics()
        listeners: list[Listener] = []
        if "http" in roles:
            shown = counts.render if "mllp" in roles else str
            http = HttpServer(settings, create_app(node.http(listening, shown, later)))
            listening["http"] = lambda: http.listening
            listeners.append(http)
        if "mllp" in roles:
            mllp = _mllp(node, counts)
            listening["mllp"] = lambda: mllp.listening
            listeners += [mllp, Worker(node.notifier().run_once)]
        _LOG.info("process %s serves %s", os.getpid(), ", ".join(roles))
        run_until_signal(Together(*listeners), announce)
        _LOG.info("stopped; %s threads left", threading.active_count() - 1)


def _session() -> Poster:
    """A proxy or a .netrc of the environment is for people's browsers; whom we talk to stands in the configuration."""
    session = requests.Session()
    session.trust_env = False
    return cast(Poster, session)


@contextmanager
def _deliveries() -> Iterator[Deliveries]:
    """What answers to other communities go out by that are not given on the same connection."""
    later = Deliveries(_session())
    try:
        yield later
    finally:
        later.close()


def _mllp(node: Node, counts: MllpMetrics) -> MllpServer:
    services = node.v2()

    def handle(block: Block, address: str) -> Replies:
        return answer(block, address, services)

    def not_handled(block: Block, error: Exception) -> Replies:
        return failed(block, error, services)

    return MllpServer(node.settings.mllp, handle, not_handled, counts)
