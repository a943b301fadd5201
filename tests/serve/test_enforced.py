"""A node in enforced mode on a real socket: who gets in, who does not, and what each of them is told."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.soap import SOAP, WSSE
from gateway.ihe import iti18
from gateway.model.audit import AuditRecord
from gateway.sandbox.pki import Authority
from tests import saml_parts
from tests.trust_parts import BOTH, Federation, Running, running


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return Federation(tmp_path_factory.mktemp("pki") / "keys")


@pytest.fixture(scope="module")
def node(federation: Federation) -> Iterator[Running]:
    with running(federation) as found:
        yield found


def ask(
    node: Running, method: str, path: str, body: Any = None, by: str = "node-b", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    context = node.federation.client(by)
    connection = http.client.HTTPSConnection("localhost", node.port, timeout=10, context=context)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def records(node: Running) -> list[Any]:
    with node.node.parts.engine.connect() as connection:
        return list(connection.exec_driver_sql("select * from audit order by 1"))


# -- nodes --------------------------------------------------------------------------------------------------------


def test_a_listed_node_is_let_in_and_sees_its_health(node: Running) -> None:
    assert ask(node, "GET", "/livez")[0] == 200
    assert ask(node, "GET", "/readyz")[0] == 200
    assert ask(node, "GET", "/metrics")[0] == 200
    status, _, body = ask(node, "GET", "/fhir/metadata")
    assert status == 200 and json.loads(body)["resourceType"] == "CapabilityStatement"


def test_without_a_certificate_or_with_one_of_another_authority_there_is_no_connection(
    node: Running, federation: Federation
) -> None:
    stranger = federation.issue("stranger", *BOTH, by=Authority.make(federation.now))
    before = len(records(node))
    for by in ("", stranger):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            ask(node, "GET", "/readyz", by=by)
    deadline = time.monotonic() + 5
    while len(records(node)) < before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [value for value in records(node)[-1] if value in ("110113", "110126")] == ["110113", "110126"]


@pytest.mark.parametrize("usages", [BOTH, (), BOTH[1:]])
def test_a_certificate_that_nobody_registered_is_nobody(node: Running, federation: Federation, usages: Any) -> None:
    name = federation.issue(f"unlisted-{len(usages)}-{id(usages)}", *usages)
    try:
        answers = {
            path: ask(node, "GET", path, by=name)[0] for path in ("/readyz", "/metrics", "/fhir/metadata", "/livez")
        }
    except (ssl.SSLError, ConnectionError):
        return  # OpenSSL refuses a certificate of a server as a client's in the handshake
    assert set(answers.values()) == {403}
    status, _, body = ask(node, "POST", "/xds/registry", b"<x/>", by=name)
    assert status == 403 and b"wsse:FailedAuthentication" in body


def test_the_versions_and_suites_that_are_spoken(node: Running, federation: Federation) -> None:
    def connect(context: ssl.SSLContext) -> str:
        plain = socket.create_connection(("localhost", node.port), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname="localhost") as found:
            found.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert found.recv(12) == b"HTTP/1.1 200"
            return f"{found.version()} {found.cipher()[0]}"  # type: ignore[index]

    assert connect(federation.client()).startswith("TLSv1.3 ")
    floor = federation.client()
    floor.maximum_version = ssl.TLSVersion.TLSv1_2
    assert connect(floor).startswith("TLSv1.2 ECDHE-ECDSA-")
    for suites in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA"):
        weak = federation.client()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers(suites)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect(weak)
    with pytest.warns(DeprecationWarning):
        old = federation.client()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(old)


def test_headers_that_say_who_somebody_is_say_nothing(node: Running, federation: Federation) -> None:
    name = federation.issue("pretender", *BOTH)
    pem = (federation.folder / "node-b.crt.pem").read_text().replace("\n", "%0A")
    assert ask(node, "GET", "/readyz", by=name, **{"X-SSL-Client-Cert": pem, "X-Forwarded-Client-Cert": pem})[0] == 403


def test_half_open_and_slow_handshakes_hold_nobody_up(node: Running) -> None:
    idle = [socket.create_connection(("localhost", node.port)) for _ in range(60)]
    try:
        for number, one in enumerate(idle):
            if number % 2:
                one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the head of a ClientHello that never ends
        started = time.monotonic()
        assert ask(node, "GET", "/livez")[0] == 200
        assert time.monotonic() - started < 2
    finally:
        for one in idle:
            one.close()


def test_plain_http_on_the_port_is_no_http(node: Running) -> None:
    with socket.create_connection(("localhost", node.port), timeout=5) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")


# -- people over SOAP ---------------------------------------------------------------------------------------------


def question(node: Running, security: str = "", action: str = iti18.TRANSACTION.action) -> tuple[int, etree._Element]:
    slots = [("$XDSDocumentEntryPatientId", ("1^^^&1.2.3&ISO",), False)]
    slots.append(("$XDSDocumentEntryStatus", ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",), True))
    body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, "", "LeafClass", slots)
    data = soap.request(action, "urn:uuid:1", "https://localhost/xds/registry", body, headers=security)
    kind = {"Content-Type": "application/soap+xml; charset=UTF-8"}
    status, _, answer = ask(node, "POST", "/xds/registry", data, **kind)
    return status, etree.fromstring(answer)


def signed(node: Running, text: saml_parts.Text, name: str = "sts") -> str:
    """With the key of the demo's issuer, or of another pair."""
    folder = node.federation.folder
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from signxml.algorithms import CanonicalizationMethod, SignatureMethod
    from signxml.signer import XMLSigner

    root = etree.fromstring(str(text))
    signing = XMLSigner(
        signature_algorithm=SignatureMethod.ECDSA_SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    key: Any = load_pem_private_key((folder / f"{name}.key.pem").read_bytes(), None)
    pem = (folder / f"{name}.crt.pem").read_text()
    done = signing.sign(root, key=key, cert=pem, reference_uri=text.id, id_attribute="ID")
    return f'<wsse:Security xmlns:wsse="{WSSE}">{etree.tostring(done, encoding="unicode")}</wsse:Security>'


def subcode(answer: etree._Element) -> str:
    return str(answer.findtext(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value"))


def test_a_person_is_known_and_then_policy_speaks(node: Running, federation: Federation) -> None:
    """Until grants are decided on, the known person is denied by policy: an answer of the registry and no fault."""
    status, answer = question(node, signed(node, federation.text(id="_good")))
    assert status == 200 and answer.find(f".//{{{SOAP}}}Fault") is None
    assert "Failure" in etree.tostring(answer).decode()


def test_without_an_assertion_nothing_is_answered(node: Running) -> None:
    status, answer = question(node)
    assert (status, subcode(answer)) == (400, "wsse:SecurityTokenUnavailable")
    status, answer = question(node, action="urn:nothing")
    assert subcode(answer) == "wsse:SecurityTokenUnavailable"  # who comes before what


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuer": "https://other"}, "wsse:FailedCheck"),
        ({"before": "2020-01-01T00:00:00Z", "after": "2020-01-01T00:05:00Z"}, "wsu:MessageExpired"),
        ({"conditions": ""}, "wsse:InvalidSecurityToken"),
        ({"authentication": ""}, "wsse:InvalidSecurityToken"),
        ({"attributes": ()}, "wsse:FailedAuthentication"),
    ],
)
def test_the_fault_says_which_check(node: Running, federation: Federation, change: Any, code: str) -> None:
    status, answer = question(node, signed(node, replace(federation.text(id="_x"), **change)))
    assert (status, subcode(answer)) == (400, code)
    assert answer.findtext(f".//{{{SOAP}}}Code/{{{SOAP}}}Value") == "soap:Sender"
    assert answer.findtext(".//{http://www.w3.org/2005/08/addressing}RelatesTo") == "urn:uuid:1"


def test_a_node_speaks_for_its_own_community(node: Running, federation: Federation) -> None:
    text = federation.text(id="_y").with_attribute("homeCommunityId", "urn:oid:1.2.3")
    assert subcode(question(node, signed(node, text))[1]) == "wsse:FailedAuthentication"
    marketing = '<PurposeOfUse xmlns="urn:hl7-org:v3" code="MARKETING" codeSystem="1.2"/>'
    text = federation.text(id="_z").with_attribute("purposeofuse", marketing)
    assert subcode(question(node, signed(node, text))[1]) == "wsse:FailedAuthentication"


def test_the_key_of_a_node_vouches_for_nobody(node: Running, federation: Federation) -> None:
    assert subcode(question(node, signed(node, federation.text(id="_n"), "node-b"))[1]) == "wsse:FailedCheck"


def test_an_assertion_comes_from_one_node_only(node: Running, federation: Federation) -> None:
    block = signed(
        node, federation.text(id="_once").with_attribute("homeCommunityId", "urn:oid:1.2.392.200119.99999.20")
    )
    assert question(node, block)[0] == 200
    assert question(node, block)[0] == 200  # the same node may send it again
    data = soap.request(iti18.TRANSACTION.action, "urn:uuid:1", "x", b"<q/>", headers=block)
    status, _, _ = ask(node, "POST", "/xds/registry", data, by="node-a", **{"Content-Type": "application/soap+xml"})
    assert status == 400


# -- systems and apps over FHIR -----------------------------------------------------------------------------------


def test_fhir_wants_a_token(node: Running, federation: Federation) -> None:
    status, headers, body = ask(node, "GET", "/fhir/Patient")
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="musubi"')
    assert json.loads(body)["issue"][0]["code"] == "login"
    for bad in ("Bearer x", f"Bearer {federation.token(aud='https://other')}", f"Bearer {federation.token(exp=1)}"):
        status, headers, _ = ask(node, "GET", "/fhir/Patient", Authorization=bad)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="musubi", error="invalid_token"')
    assert ask(node, "GET", "/fhir/Patient", Authorization="Basic eDp5")[0] == 401
    assert ask(node, "POST", "/api/query", b"{}", **{"Content-Type": "application/json"})[0] == 401
    assert ask(node, "GET", "/api/reviews")[0] == 401


def test_a_known_caller_is_denied_until_policy_grants(node: Running, federation: Federation) -> None:
    bearer = {"Authorization": f"Bearer {federation.token()}"}
    for method, path in (
        ("GET", "/fhir/Patient"),
        ("GET", "/fhir/Patient/x"),
        ("GET", "/api/reviews"),
        ("DELETE", "/fhir/Patient/x"),
    ):
        assert ask(node, method, path, **bearer)[0] == 403, (method, path)


def test_a_client_gets_its_token_here(node: Running, federation: Federation) -> None:
    status, _, body = ask(node, "GET", "/fhir/.well-known/smart-configuration")
    found = json.loads(body)
    assert status == 200 and found["token_endpoint"] == f"https://127.0.0.1:{node.port}/oauth/token"
    assert ask(node, "GET", "/.well-known/oauth-authorization-server")[2] == body
    from joserfc.jwk import ECKey

    from gateway.codec import jwt

    key = ECKey.import_key(json.loads((federation.folder / "client.key.json").read_text()))
    now = int(time.time())
    claims = {"iss": "demo-client", "sub": "demo-client", "aud": found["token_endpoint"], "exp": now + 200, "jti": "j1"}
    from urllib.parse import urlencode

    form = urlencode(
        {
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs system/Patient.cud",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.sign(claims, key, "ES256"),
        }
    )
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, body = ask(node, "POST", "/oauth/token", form, **kind)
    token = json.loads(body)
    assert status == 200 and token["scope"] == "system/Patient.rs"
    assert ask(node, "POST", "/oauth/token", form, **kind)[0] == 401  # the same assertion again
    assert ask(node, "GET", "/fhir/Patient", Authorization=f"Bearer {token['access_token']}")[0] == 200
    caller = node.enforced.authentication.tokens.caller(
        f"Bearer {token['access_token']}", node.enforced.gate.admit(der(federation), "").node, None, ""
    )
    assert (caller.client, caller.roles, caller.purpose) == (
        "demo-client",
        ("DOCTOR^^1.2.392.200119.99999.30",),
        "TREATMENT",
    )


def der(federation: Federation) -> bytes:
    return ssl.PEM_cert_to_DER_cert((federation.folder / "node-b.crt.pem").read_text())


# -- limits, bodies -----------------------------------------------------------------------------------------------


def test_bodies_in_pieces_and_large_answers_pass_through_tls(node: Running, federation: Federation) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 50_000

    status, _, _ = ask(node, "POST", "/fhir/Patient", pieces(), Authorization=f"Bearer {federation.token()}")
    assert status == 403
    assert ask(node, "GET", "/livez")[0] == 200


def test_limits_of_a_request(node: Running) -> None:
    assert ask(node, "GET", "/livez?" + "a" * 8200)[0] == 414
    assert ask(node, "GET", "/livez", **{f"X-{number}": "1" for number in range(110)})[0] == 431


def test_records_of_refusals_name_the_event(node: Running, federation: Federation) -> None:
    ask(node, "GET", "/fhir/Patient", Authorization="Bearer x")
    assert "110114" in records(node)[-1]
    assert isinstance(AuditRecord("110114", "110122", "E", 4, ""), AuditRecord)


def test_changed_lists_and_keys_count_without_a_restart(tmp_path: Path) -> None:
    federation = Federation(tmp_path / "keys")
    seconds = [0.0]
    with running(federation, monotonic=lambda: seconds[0]) as found:
        connection = http.client.HTTPSConnection("localhost", found.port, timeout=10, context=federation.client())
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b"ok\n"
        federation.revoke("node-b")
        seconds[0] += 10
        connection.request("GET", "/livez")  # the connection that is open
        assert connection.getresponse().status == 403
        connection.close()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(found, "GET", "/livez")
        assert ask(found, "GET", "/livez", by="node-a")[0] == 200
        (federation.folder / "ca.crl.pem").write_text("broken")
        seconds[0] += 10
        assert ask(found, "GET", "/livez", by="node-a")[0] == 200  # the old one stays in force
        federation.revoke()
        seconds[0] += 10
        assert ask(found, "GET", "/livez")[0] == 200


def test_one_node_has_so_many_connections_and_requests(tmp_path: Path) -> None:
    federation = Federation(tmp_path / "keys")
    text = (
        federation.write()
        .read_text()
        .replace('mode = "enforced"', 'mode = "enforced"\nconnections_per_node = 2\nburst = 3')
    )
    (federation.folder / "musubi.toml").write_text(text)
    seconds = [0.0]
    with running(federation, monotonic=lambda: seconds[0]) as found:
        held = []
        for _ in range(2):
            connection = http.client.HTTPSConnection("localhost", found.port, timeout=10, context=federation.client())
            connection.connect()
            held.append(connection)
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            ask(found, "GET", "/livez")
        answers = []
        for _ in range(4):
            held[0].request("GET", "/livez")
            answer = held[0].getresponse()
            answer.read()
            answers.append((answer.status, answer.getheader("Retry-After")))
        assert answers == [(200, None)] * 3 + [(429, "1")]
        seconds[0] += 1
        held[0].request("GET", "/livez")
        assert held[0].getresponse().status == 200
        for connection in held:
            connection.close()
