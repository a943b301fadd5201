"""What real networks send that no standard allows: what can be understood is, what cannot is named, and neither harms the
answers of others. Each defect is put into a good community's answers on the way out (ITI-55, 38 and 39)."""

import io
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.codec import mtom, soap
from gateway.sandbox.stub_community import Answering, Reply, serve, write
from gateway.storage.opening import Storage
from tests.federation_parts import MEDICAL_ID, STUB, TOKYO, client_of, fed_node, peer, stub

Edit = Callable[[bytes], bytes]
"""Of a whole HTTP body."""
WHOLE = "ok"


class Defect(NamedTuple):
    edit: Edit
    outcome: str = WHOLE
    """`ok`, or what the OperationOutcome of the community says"""
    found: int = 2
    """Observations of the community that are there nevertheless."""
    media: str = ""
    """Content-Type instead of the right one."""
    per_request: int = 0
    """Its configuration: documents_per_request."""


def replaced(old: bytes, new: bytes, count: int = -1) -> Edit:
    return lambda body: body.replace(old, new, count)


def again(pattern: bytes) -> Edit:
    """Everything that fits stands twice."""
    return lambda body: re.sub(pattern, lambda found: found[0] * 2, body, flags=re.DOTALL)


def on_xml(edit: Edit) -> Edit:
    """Of answers that are no packages."""
    return lambda body: edit(body) if body.lstrip().startswith(b"<") else body


def _inline(line_end: bytes, width: int) -> Edit:
    """The package's documents as base64 inside the envelope."""

    def edit(body: bytes) -> bytes:
        if not body.startswith(b"--"):
            return body
        package = mtom.collect([body], 'multipart/related; boundary="stub-boundary"; start="<root@stub>"', _memory)

        def text(found: "re.Match[bytes]") -> bytes:
            data = b64encode(package.parts[found[1].decode().replace("%40", "@")].read())
            return line_end.join(data[at : at + width] for at in range(0, len(data), width)) + line_end

        return re.sub(rb'<xop:Include[^>]*href="cid:([^"]*)"[^>]*/>', text, package.root.read())

    return edit


def _memory() -> Any:

    return io.BytesIO()


SLOT = b'<rim:Slot name="urn:vendor:internal"><rim:ValueList><rim:Value>7</rim:Value></rim:ValueList></rim:Slot>'
DEFECTS: dict[str, Defect] = {
    "home without urn:oid": Defect(replaced(b'home="urn:oid:', b'home="')),
    "home without urn:oid on documents": Defect(replaced(b"HomeCommunityId>urn:oid:", b"HomeCommunityId>")),
    "no home at all": Defect(lambda body: re.sub(rb' home="[^"]*"', b"", body)),
    "documents inline": Defect(_inline(b"", 1 << 20)),
    "documents inline, lines end with CRLF": Defect(_inline(b"\r\n", 76)),
    "every entry twice": Defect(again(rb"<rim:ExtrinsicObject.*?</rim:ExtrinsicObject>")),
    "no RelatesTo": Defect(lambda body: re.sub(rb"<wsa:RelatesTo>[^<]*</wsa:RelatesTo>", b"", body)),
    "RelatesTo of another message": Defect(
        lambda body: re.sub(rb"(<wsa:RelatesTo>)[^<]*", rb"\1urn:uuid:0", body), "failed", 0
    ),
    "another MIME type on the document than on its entry": Defect(
        lambda body: re.sub(rb"(<xds:mimeType>)[^<]*", rb"\1text/xml", body)
    ),
    "a MIME type nobody knows on the entries": Defect(
        replaced(b'mimeType="application/fhir+json"', b'mimeType="application/octet-stream"'), WHOLE, 0
    ),
    "namespaces nobody uses": Defect(replaced(b"<soap:Envelope ", b'<soap:Envelope xmlns:junk="urn:junk" ')),
    "headers nobody knows": Defect(replaced(b"</soap:Header>", b'<x:y xmlns:x="urn:x">1</x:y></soap:Header>')),
    "a slot of its own": Defect(replaced(b"<rim:Slot ", SLOT + b"<rim:Slot ", 1)),
    "IHE_PQ for IHE_PDQ": Defect(replaced(b'"IHE_PDQ"', b'"IHE_PQ"')),
    "a byte order mark": Defect(on_xml(lambda body: b"\xef\xbb\xbf" + body)),
    "an XML declaration and blank lines behind the end": Defect(
        on_xml(lambda body: (b"" if body.startswith(b"<?xml") else b'<?xml version="1.0"?>\n') + body + b"\r\n\r\n")
    ),
    "hash in capitals": Defect(lambda body: re.sub(rb"<rim:Value>([0-9a-f]{40})<", lambda m: m[0].upper().replace(b"RIM:VALUE", b"rim:Value"), body)),
    "a hash of other bytes": Defect(
        lambda body: re.sub(rb"<rim:Value>[0-9a-f]{40}<", b"<rim:Value>" + b"0" * 40 + b"<", body), "hash-mismatch", 0
    ),
    "two documents at once are too many": Defect(lambda body: body, per_request=1),
    "text/xml for SOAP 1.2": Defect(on_xml(lambda body: body), "failed", 0, "text/xml; charset=utf-8"),
    "an HTML page": Defect(lambda body: b"<html>please sign in</html>", "failed", 0, "text/html"),
    "an empty answer": Defect(lambda body: b"", "failed", 0),
}  # fmt: skip


def answering(defect: Defect, changed: list[bool]) -> Answering:
    good = stub()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if defect.per_request and body.count(b"DocumentUniqueId>") > 2 * defect.per_request:
            write(handler, Reply(500, "text/plain", b"one at a time"))
            return
        reply = good.answer(body)
        data = defect.edit(reply.body)
        changed.append(data != reply.body or bool(defect.media))
        inline = reply.body.startswith(b"--") and data.startswith(b"<")
        write(handler, Reply(200, defect.media or (soap.MEDIA_TYPE if inline else reply.content_type), data))

    return answer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Storage]]:
    directory = tmp_path_factory.mktemp("node")
    with fed_node(directory) as parts:
        yield directory, parts


@pytest.fixture(autouse=True)
def forget(place: tuple[Path, Storage]) -> None:
    engine = place[1].engine.execution_options(write=True)
    with engine.connect() as connection, connection.begin():
        for table in ("peer_health", "peer_correlation"):
            connection.exec_driver_sql(f"DELETE FROM {table}")


def asked(place: tuple[Path, Storage], answer: Answering, per_request: int = 0) -> dict[str, Any]:
    more = {"documents_per_request": per_request} if per_request else {}
    with serve(answer) as url:
        client = client_of(*place, peer(STUB, url, **more), federation={"deadline_s": 3})
        found = client.get(
            "/fhir/Observation",
            query_string={
                "_federated": "true",
                "_count": "500",
                "patient.identifier": f"urn:oid:{MEDICAL_ID.authority}|{MEDICAL_ID.value}",
            },
        )
    assert found.status_code == 200, found.data
    bundle: dict[str, Any] = found.get_json()
    return bundle


def homes(bundle: dict[str, Any]) -> list[str]:
    return [
        one["resource"]["meta"]["source"].partition("#")[0]
        for one in bundle["entry"]
        if one["search"]["mode"] == "match"
    ]


@pytest.mark.parametrize("name", DEFECTS)
def test_what_can_be_understood_is_and_what_cannot_is_named(place: tuple[Path, Storage], name: str) -> None:
    defect = DEFECTS[name]
    changed: list[bool] = []
    bundle = asked(place, answering(defect, changed), defect.per_request)
    assert any(changed) or defect.per_request, "the defect is in an answer"
    texts = [
        one["resource"]["issue"][0]["diagnostics"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"
    ]
    found = homes(bundle)
    assert found.count(STUB) == defect.found and found.count(TOKYO) > 30, (found.count(STUB), texts)
    assert (texts == []) if defect.outcome == WHOLE else (len(texts) == 1 and STUB in texts[0]), texts
    assert defect.outcome == WHOLE or defect.outcome in texts[0]


@pytest.mark.parametrize("closing", [False, True], ids=["chunked", "until the connection closes"])
def test_answers_without_a_length(place: tuple[Path, Storage], closing: bool) -> None:
    good = stub()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        reply = good.answer(body)
        handler.send_response(200)
        handler.send_header("Content-Type", reply.content_type)
        handler.send_header("Connection", "close") if closing else handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        pieces = [reply.body[at : at + 700] for at in range(0, len(reply.body), 700)]
        for piece in pieces if closing else [*(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces), b"0\r\n\r\n"]:
            handler.wfile.write(piece)
        handler.close_connection = closing

    assert homes(asked(place, answer)).count(STUB) == 2
