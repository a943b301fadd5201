"""A community of one patient and a few documents that speaks XCPD and XCA, well or badly: the peer that tests ask.

Well: `Stub` answers ITI-55, 38 and 39 in process. Badly: `KINDS` of misbehaving.py. Over a socket: `serve`.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from gateway.codec import ebxml, hl7v3, mtom, soap
from gateway.codec.ebxml import DocumentResponse, RegistryError
from gateway.codec.hl7v3 import II, Head
from gateway.codec.mtom import OutPart
from gateway.codec.xml import escape
from gateway.model.code import Code
from gateway.model.document import DocumentEntry

FHIR_JSON: Final = "application/fhir+json"
_MESSAGE = "urn:uuid:00000000-0000-4000-8000-00000000feed"
_LOCATOR = '<code code="SupportsHealthDataLocator" codeSystem="1.3.6.1.4.1.19376.1.2.27.2"/>'


class Reply(NamedTuple):
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stub:
    """`content`: name -> bytes of its documents. Every field may be wrong on purpose."""

    home: str
    domain: str
    """OID of its patient ids."""
    patient: str
    name: tuple[str, str] = ("見本", "結子")
    birth_date: str = "19700405"
    sex: str = "F"
    content: tuple[tuple[str, bytes, str], ...] = ()
    """(name, bytes, MIME type)"""
    entry_home: str = ""
    """Home on its objects, instead of its own; `-` for none."""
    entry_patient: str = ""
    """Patient id on its objects, instead of the right one."""
    relates_to: str = ""
    """RelatesTo of its answers, instead of the right one; `-` for none."""
    errors: tuple[RegistryError, ...] = ()
    """On top of its documents: PartialSuccess."""
    lost: frozenset[str] = frozenset()
    """Documents it does not give though it says Success."""
    unasked: bool = False
    """It gives a document nobody asked for."""

    def answer(self, body: bytes) -> Reply:
        """One SOAP request -> its answer."""
        root = body[body.find(b"<soap:Envelope") if b"<soap:Envelope" in body else 0 :]
        action = _first(root, rb"<(?:\w+:)?Action[^>]*>([^<]*)<")
        message_id = _first(root, rb"<(?:\w+:)?MessageID[^>]*>([^<]*)<")
        related = {"": message_id, "-": ""}.get(self.relates_to, self.relates_to)
        if "PRPA_IN201305UV02" in action:
            answered = action.replace("PRPA_IN201305UV02", "PRPA_IN201306UV02")
            return self._plain(answered, related, self._person(root))
        if action.endswith("CrossGatewayQuery"):
            return self._plain(f"{action}Response", related, self._entries(root))
        if action.endswith("CrossGatewayRetrieve"):
            return self._package(f"{action}Response", related, root)
        return Reply(500, soap.MEDIA_TYPE, soap.fault(soap.SoapFault("Sender", "unknown action"), _MESSAGE))

    def _plain(self, action: str, related: str, body: bytes) -> Reply:
        return Reply(200, soap.MEDIA_TYPE, soap.answer(action, _MESSAGE, related, body))

    def _person(self, root: bytes) -> bytes:
        target = re.search(rb'<id root="([^"]*)"(?: extension="([^"]*)")?', root)
        message = II(target[1].decode(), (target[2] or b"").decode()) if target else II("")
        query = re.search(rb"<queryByParameter>.*</queryByParameter>", root, re.DOTALL)
        oid = self.home.removeprefix("urn:oid:")
        person = (
            f'<patient classCode="PAT">{hl7v3.ii(II(self.domain, self.patient))}<statusCode code="active"/>'
            f'<patientPerson classCode="PSN" determinerCode="INSTANCE"><name><family>{escape(self.name[0])}</family>'
            f"<given>{escape(self.name[1])}</given></name>"
            f'<administrativeGenderCode code="{self.sex}"/><birthTime value="{self.birth_date}"/></patientPerson>'
            '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
            '<value xsi:type="INT" value="100" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'
            "</queryMatchObservation></subjectOf1></patient>"
        )
        found = hl7v3.registration(person, II(oid), _LOCATOR) if self.patient else ""
        head = Head("PRPA_IN201306UV02", II(oid, "answer"), "20260101000000", oid, II("1"), organization=oid)
        return hl7v3.message(
            head,
            hl7v3.acknowledgement("AA", message),
            hl7v3.control_act(
                "PRPA_TE201306UV02",
                found,
                hl7v3.query_ack(message, "OK" if found else "NF"),
                (query[0].decode() if query else ""),
            ),
        )

    def entries(self) -> list[DocumentEntry]:
        return [self._entry(name, data, mime) for name, data, mime in self.content]

    def _entry(self, name: str, data: bytes, mime: str) -> DocumentEntry:
        number = uuid5(NAMESPACE_OID, f"{self.home}|{name}")
        code = Code("x", "1.2.3", "x")
        return DocumentEntry(
            entryUUID=f"urn:uuid:{number}",
            uniqueId=f"2.25.{number.int}",
            patientId=self.entry_patient or f"{self.patient}^^^&{self.domain}&ISO",
            sourcePatientId=f"{self.patient}^^^&{self.domain}&ISO",
            mimeType=mime,
            classCode=code,
            typeCode=Code(name, "1.2.3", name),
            formatCode=code,
            healthcareFacilityTypeCode=code,
            practiceSettingCode=code,
            confidentialityCode=(Code("N", "2.16.840.1.113883.5.25"),),
            creationTime="20240101000000",
            languageCode="ja-JP",
            repositoryUniqueId=f"{self.home.removeprefix('urn:oid:')}.2",
            hash=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            size=len(data),
            blob="",
            title=name,
        )

    def _entries(self, root: bytes) -> bytes:
        asked = re.search(rb"&apos;|'([^'&]*)\^\^\^&amp;([^'&]*)&amp;ISO'", root)
        if asked and asked[1] is not None and (asked[1].decode(), asked[2].decode()) != (self.patient, self.domain):
            unknown = RegistryError("XDSUnknownPatientId", "not known here", location=self.home)
            return ebxml.adhoc_query_response(ebxml.FAILURE, (unknown,), ())
        home = {"": self.home, "-": ""}.get(self.entry_home, self.entry_home)
        objects = [
            ebxml.splice(
                ebxml.render_extrinsic(one), home=home, patient_id=one.patientId, status=one.availabilityStatus
            )
            for one in self.entries()
        ]
        status = ebxml.PARTIAL_SUCCESS if self.errors else ebxml.SUCCESS
        return ebxml.adhoc_query_response(status, self.errors, objects)

    def _package(self, action: str, related: str, root: bytes) -> Reply:
        wanted = {one.decode() for one in re.findall(rb"DocumentUniqueId>([^<]*)<", root)}
        chosen = [
            (entry, data)
            for entry, (name, data, _) in zip(self.entries(), self.content, strict=True)
            if (entry.uniqueId in wanted or self.unasked) and name not in self.lost
        ]
        given = [
            DocumentResponse(
                {"": self.home, "-": ""}.get(self.entry_home, self.entry_home),
                entry.repositoryUniqueId,
                entry.uniqueId + (".9" if self.unasked and at == len(chosen) - 1 else ""),
                entry.mimeType,
                f"d{at}@stub",
            )
            for at, (entry, _) in enumerate(chosen)
        ]
        status = ebxml.PARTIAL_SUCCESS if self.errors else ebxml.SUCCESS
        body = ebxml.retrieve_response(status, self.errors, given)
        envelope = soap.answer(action, _MESSAGE, related, body)
        parts = [OutPart(f"d{at}@stub", entry.mimeType, (data,)) for at, (entry, data) in enumerate(chosen)]
        data = b"".join(mtom.write("stub-boundary", "root@stub", envelope, parts))
        return Reply(200, mtom.content_type("stub-boundary", "root@stub", action), data)


def _first(data: bytes, pattern: bytes) -> str:
    found = re.search(pattern, data)
    return found[1].decode() if found else ""


# -- over a socket -----------------------------------------------------------------------------------------------------

Answering = Callable[[BaseHTTPRequestHandler, bytes], None]
"""(handler, request body): writes the whole answer itself."""


def well(stub: Stub, delay_s: float = 0.0) -> Answering:
    """Answers as it should, `delay_s` late."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if delay_s:
            time.sleep(delay_s)
        reply = stub.answer(body)
        write(handler, reply)

    return answer


def write(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    handler.send_header("Content-Type", reply.content_type)
    handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    handler.wfile.write(reply.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked went away: that is what a bad peer is for."""


@contextmanager
def serve(answering: Answering, port: int = 0) -> Iterator[str]:
    """A community at `http://127.0.0.1:<port>` for as long as the block lasts; every path is answered alike."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with suppress(OSError):
                answering(self, body)

        def do_GET(self) -> None:
            with suppress(OSError):
                answering(self, b"")

        def log_message(self, *_: object) -> None:
            """Nothing on stderr: the tests that ask look at answers."""

    server = _Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
