"""The faces of a node: what HTTP (FHIR, SOAP, /api) and MLLP work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from gateway import ihe
from gateway.app.configured import facilities, fhir_xml, reading_rules, senders, software_version, validator
from gateway.app.core import Core
from gateway.codec import fhir
from gateway.codec.packing import pack
from gateway.fhir.audit_events import Trail
from gateway.fhir.federated import FederatedServices
from gateway.fhir.server import FhirServices
from gateway.fhir.trust import TrustFaces
from gateway.ihe import iti53, iti112
from gateway.ihe._client import Call
from gateway.ihe._continuation import KEPT as POINTERS
from gateway.ihe._continuation import KEPT_S as POINTERS_S
from gateway.ihe._continuation import Continuations
from gateway.ihe._dsub import DsubServices
from gateway.ihe._dsubm import DsubmServices
from gateway.ihe._gateway import GatewayServices
from gateway.ihe._held import Held, Remembered
from gateway.ihe._later import allowed
from gateway.ihe._mhd import MhdServices
from gateway.ihe._remembered import CONTINUATION, CORRELATIONS, QUERY
from gateway.ihe._soap import Asker, WireResponse
from gateway.ihe._v2 import V2Services
from gateway.ihe._v3 import CORRELATION_S, Later, V3Services
from gateway.ihe.communities import Communities, communities
from gateway.ihe.communities import Parts as CommunityParts
from gateway.ihe.topology import Topology
from gateway.model.caller import Caller, Scope
from gateway.model.resource import ReferenceClause, SearchPlan
from gateway.serve.authentication import Open
from gateway.serve.federation_api import FederationApi
from gateway.serve.http_services import HttpServices
from gateway.services.broker import Broker
from gateway.services.consent import ConsentDesk
from gateway.services.federation.snapshots import Snapshots
from gateway.services.feed import Feed, Readers
from gateway.services.ingest.reading import Reader
from gateway.services.persons import Persons
from gateway.services.search import SearchRules

_READERS = 4
"""Messages that are translated at the same time; the threads that wait for a commit are more."""


@dataclass(frozen=True, slots=True)
class Node(Core):
    """A running node: what each of its faces works with."""

    def trust(self) -> TrustFaces:
        """Consent, the audit trail and emergency access on the FHIR base."""
        parts, persons = self.parts, self.persons()
        desk = ConsentDesk(parts.consents, persons, parts.identities, parts.facts, self.clock, self.chance)
        trail = Trail(parts.trail, parts.identities, persons, self.settings.community.id)
        return TrustFaces(desk, self.emergencies(), trail)

    def broker(self) -> Broker:
        """Tells subscribers of new documents."""
        parts, base = self.parts, self.settings.base_url
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

    def dsub(self) -> DsubServices:
        return DsubServices(self.broker(), self.parts.audit, self.scope_of, self.chance)

    def fhir(self) -> FhirServices:
        community, cursor_key, persons, rules = (
            self.settings.community,
            self.chance.token(32),
            self.persons(),
            self._search_rules(),
        )
        mhd = self.mhd(persons, rules, cursor_key)
        return FhirServices(
            resources=self.resources(),
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
            transactions=ihe.on_fhir(mhd, DsubmServices(self.broker(), mhd)),
        )

    def mhd(self, persons: Persons, rules: SearchRules, cursor_key: bytes) -> MhdServices:
        """Documents on the FHIR face."""
        xml = fhir_xml()
        return MhdServices(
            self.documents(), persons, self.parts.resources, rules, cursor_key, xml.parse, xml.render, validator().check,
        )  # fmt: skip

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

    def http(
        self, ready: Mapping[str, Any], counts: Callable[[], str] = str, later: Later | None = None
    ) -> HttpServices:
        documents, persons, dsub = self.documents(), self.v3(later), self.dsub()
        speaking = self.enforced.speaking if self.enforced else None
        call = Call(self._poster(), self.clock, self.chance, speaking=speaking)
        everybody = self.communities(call, persons.discoveries)
        gateway = GatewayServices(documents, everybody, later, persons.may_reply)
        special: dict[str, ihe.Services] = {"/dsub": dsub, ihe.INITIATING_PATH: gateway}
        special |= dict.fromkeys(ihe.PERSON_PATHS, persons)
        deliver = later.put if later is not None else None
        special[ihe.RESPONDING_PATH] = replace(documents, deliver=deliver, may_reply=persons.may_reply)

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
                resources=self.resources(),
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
