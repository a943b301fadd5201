"""ITI-80: a submission goes on as it came, once, and its answer is read; one for this community is stored."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.mtom import OutPart
from gateway.errors import BadInput, MissingHomeCommunity, Unavailable
from gateway.ihe import iti80
from gateway.ihe._client import Call, Peer
from gateway.ihe._transport import session
from gateway.sandbox.stub_community import Answering, Reply, serve, write
from tests.federation_parts import STUB
from tests.oracle.xsd import errors_of
from tests.registry_parts import Registry, body, document, member, provided, registry, submission_set
from tests.xds_parts import HOME

XML = (
    f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{ebxml.XDS}" xmlns:rim="{ebxml.RIM}">'
    '<rim:RegistryPackage id="s">%s</rim:RegistryPackage></xds:ProvideAndRegisterDocumentSetRequest>'
)
SLOT = '<rim:Slot name="homeCommunityId"><rim:ValueList><rim:Value>%s</rim:Value></rim:ValueList></rim:Slot>'


def answering(status: str, errors: str = "") -> tuple[Answering, list[bytes]]:
    heard: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        heard.append(body)
        response = f'<rs:RegistryResponse xmlns:rs="{ebxml.RS}" status="{status}">{errors}</rs:RegistryResponse>'
        write(handler, Reply(200, soap.MEDIA_TYPE, soap.answer("a", "urn:uuid:1", "", response.encode())))

    return answer, heard


@pytest.mark.parametrize("written", [STUB, STUB.removeprefix("urn:oid:"), f"  {STUB} "])
def test_the_target(written: str) -> None:
    assert iti80.target(etree.fromstring(XML % (SLOT % written))) == STUB


def test_without_a_target_there_is_nobody_to_send_to() -> None:
    with pytest.raises(MissingHomeCommunity):
        iti80.target(etree.fromstring(XML % ""))
    with pytest.raises(BadInput):
        iti80.target(etree.fromstring("<x/>"))


def test_it_goes_out_as_it_came() -> None:
    answer, heard = answering(ebxml.SUCCESS)
    with serve(answer) as url:
        part = OutPart("d1@x", "text/plain", (b"the document",))
        found = iti80.provide(Peer(STUB, url), (XML % "").encode(), [part], Call(session(1)), 5)
    assert found.status == ebxml.SUCCESS and found.errors == ()
    assert len(heard) == 1 and (XML % "").encode() in heard[0] and b"the document" in heard[0]
    assert iti80.ACTION.encode() in heard[0]


def test_errors_name_the_community_and_nothing_is_repeated() -> None:
    wrong = f'<rs:RegistryErrorList><rs:RegistryError errorCode="XDSUnknownPatientId" codeContext="x" severity="{ebxml.ERROR}"/></rs:RegistryErrorList>'
    answer, heard = answering(ebxml.FAILURE, wrong)
    with serve(answer) as url:
        found = iti80.provide(Peer(STUB, url), b"<a/>", [], Call(session(1)), 5)
    assert [(one.code, one.location) for one in found.errors] == [("XDSUnknownPatientId", STUB)] and len(heard) == 1
    with pytest.raises(Unavailable):
        iti80.provide(Peer(STUB, "http://127.0.0.1:1"), b"<a/>", [], Call(session(1)), 5)


# -- responding gateway ------------------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        yield made


HELLO = ("Document1@test", b"hello")


def meant_for(node: Registry, home: str) -> bytes:
    objects = [document(node.patient), submission_set(node.patient, homeCommunityId=home)]
    return provided(body(member("Document1"), *objects), ("Document1", None))


def test_a_submission_for_this_community_is_stored(node: Registry, shared: Path) -> None:
    answer = node.answer(iti80.TRANSACTION, meant_for(node, HOME), HELLO)
    assert answer.get("status") == ebxml.SUCCESS and errors_of(shared, answer) == []
    assert node.one("1.2.3.1").size == 5
    assert node.rows("SELECT outcome, object FROM audit WHERE \"transaction\" = 'ITI-80'") == [(0, "1.2.4.1")]


@pytest.mark.parametrize(
    ("home", "code"), [(STUB, "XDSUnknownCommunity"), ("", "XDSMissingHomeCommunityId")], ids=["another's", "nobody's"]
)
def test_one_for_somebody_else_is_not(node: Registry, home: str, code: str) -> None:
    before = node.counts()
    answer = node.answer(iti80.TRANSACTION, meant_for(node, home), HELLO)
    (error,) = answer.iter(f"{{{ebxml.RS}}}RegistryError")
    assert (answer.get("status"), error.get("errorCode")) == (ebxml.FAILURE, code)
    assert node.counts() == before
    assert node.rows("SELECT outcome FROM audit WHERE \"transaction\" = 'ITI-80'") == [(8,)]


def test_what_the_registry_refuses_is_refused_here(node: Registry) -> None:
    objects = [document(node.patient), submission_set(node.patient, homeCommunityId=HOME)]
    assert node.codes(iti80.TRANSACTION, provided(body(member("Document1"), *objects))) == ["XDSMissingDocument"]
