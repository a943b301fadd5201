"""MLLP with TLS, and connections this node opens: to consumers, peers and issuers, both sides checked."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gateway import app
from gateway.codec.mllp import Block, Decoder, frame
from gateway.errors import Unavailable
from gateway.ihe._mllp_client import send
from gateway.ihe._v2 import Replies
from gateway.sandbox.pki import Authority
from gateway.serve import outgoing
from gateway.serve.authentication import Connected
from gateway.serve.metrics import MllpMetrics
from gateway.serve.mllp import MllpServer
from gateway.settings import Mllp
from tests.trust_parts import BOTH, HOME_A, HOME_B, Federation, Running, running

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260401||ADT^A04|m1|P|2.5\rPID|1\r"


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return Federation(tmp_path_factory.mktemp("pki") / "keys")


@pytest.fixture(scope="module")
def node(federation: Federation) -> Iterator[Running]:
    with running(federation) as found:
        yield found


@pytest.fixture
def seen() -> list[Connected]:
    return []


@pytest.fixture
def port(node: Running, seen: list[Connected]) -> Iterator[int]:
    """A listener that answers AA and notes which node sent."""

    def handle(block: Block, connected: Connected) -> Replies:
        seen.append(connected)
        return Replies([b"MSH|^~\\&|C|D|A|B|20260401||ACK|x|P|2.5\rMSA|AA|m1\r"], kind="x", answer="AA")

    def nobody(block: Block, address: str) -> Replies:
        raise AssertionError("without TLS")

    secured = node.enforced.mllp(handle)
    settings = Mllp(port=node.federation.mllp_port)
    server = MllpServer(settings, nobody, lambda block, error: Replies([], True), MllpMetrics(), secured, 2)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.port
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


def connect(federation: Federation, port: int, name: str = "node-b") -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return federation.client(name).wrap_socket(plain, server_hostname="localhost")


def answer(wire: ssl.SSLSocket) -> bytes:
    decoder = Decoder(100_000)
    while True:
        data = wire.recv(4096)
        if not data:
            raise ConnectionError
        if blocks := decoder.feed(data):
            return blocks[0].data


def test_a_listed_node_feeds_without_a_person(federation: Federation, port: int, seen: list[Connected]) -> None:
    with connect(federation, port) as wire:
        for _ in range(3):
            wire.sendall(frame(MESSAGE))
            assert b"MSA|AA|m1" in answer(wire)
    assert [one.node.id for one in seen] == [HOME_B] * 3


def test_strangers_and_plain_text_get_nothing(federation: Federation, port: int, seen: list[Connected]) -> None:
    foreign = federation.issue("mllp-stranger", *BOTH, by=Authority.make(federation.now))
    unlisted = federation.issue("mllp-unlisted", *BOTH)
    for name in ("", foreign, unlisted):
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(federation, port, name) as wire:
            wire.sendall(frame(MESSAGE))
            answer(wire)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(frame(MESSAGE))
        assert b"MSA" not in plain.recv(1000)
    assert seen == []


def test_half_open_handshakes_hold_nobody_up(federation: Federation, port: int, seen: list[Connected]) -> None:
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    with connect(federation, port) as wire:
        wire.sendall(frame(MESSAGE))
        assert b"AA" in answer(wire)
    for one in idle:
        one.close()


def test_a_node_has_so_many_connections(federation: Federation, port: int) -> None:
    held = [connect(federation, port) for _ in range(2)]
    for wire in held:
        wire.sendall(frame(MESSAGE))
        answer(wire)
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(federation, port) as third:
        third.sendall(frame(MESSAGE))
        answer(third)
    for wire in held:
        wire.close()


def test_our_own_messages_go_out_with_our_certificate(
    node: Running, federation: Federation, port: int, seen: list[Connected]
) -> None:
    send("localhost", port, MESSAGE, 10, outgoing.mllp(node.enforced.contexts))
    assert seen[0].node.id == HOME_A
    with pytest.raises(Unavailable):  # a server that the name does not belong to
        send("127.0.0.2", port, MESSAGE, 10, outgoing.mllp(node.enforced.contexts))


# -- over https ---------------------------------------------------------------------------------------------------


def test_peers_are_asked_with_certificates_and_no_public_authority(node: Running) -> None:
    url = f"https://localhost:{node.port}"
    made = outgoing.session(node.enforced.contexts, {url: HOME_A})
    assert made.get(f"{url}/livez", timeout=10).text == "ok\n"
    assert made.get(f"{url}/livez", timeout=10, verify=False).text == "ok\n"  # there is no switch
    assert len(node.enforced.contexts.client().get_ca_certs()) == 1
    with pytest.raises(requests.exceptions.InvalidSchema):
        made.get(f"http://localhost:{node.port}/livez", timeout=10)
    other = outgoing.session(node.enforced.contexts, {url: HOME_B})
    with pytest.raises(requests.exceptions.SSLError):  # the right authority and name, and another node's key
        other.get(f"{url}/livez", timeout=10)
    with pytest.raises(requests.exceptions.ConnectionError):
        made.get(f"https://127.0.0.2:{node.port}/livez", timeout=10)


@pytest.mark.parametrize("kind", ["foreign", "client-only", "revoked", "no-usage"])
def test_a_server_that_is_not_one_of_ours(node: Running, federation: Federation, kind: str, tmp_path: Path) -> None:
    usages = {"client-only": BOTH[:1], "no-usage": ()}.get(kind, BOTH)
    name = federation.issue(f"server-{kind}", *usages, by=Authority.make(federation.now) if kind == "foreign" else None)
    if kind == "revoked":
        federation.revoke(name)
        node.enforced.gate.anchors._looked_s -= 100  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(federation.folder / f"{name}.crt.pem", federation.folder / f"{name}.key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        plain, _ = listener.accept()
        try:
            with context.wrap_socket(plain, server_side=True) as wire:
                got.append(wire.recv(1000))
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    made = outgoing.session(node.enforced.contexts, {})
    with pytest.raises(requests.exceptions.ConnectionError):
        made.get(f"https://localhost:{listener.getsockname()[1]}/", timeout=10)
    thread.join(10)
    listener.close()
    assert b"".join(got) == b""  # not a byte of ours was sent


def test_two_nodes_ask_one_another_in_the_name_of_the_user(tmp_path: Path) -> None:
    """The question of one node passes the checks of the other: our certificate, our assertion, the user's claims."""
    from gateway.ihe._client import Call
    from gateway.model.caller import Caller

    one = Federation(tmp_path / "keys")
    with running(one) as asked:
        url = f"https://localhost:{asked.port}/xds/registry"
        caller = Caller(
            node=HOME_A,
            user="u-1",
            user_name="佐藤 花子",
            issuer="https://idp",
            roles=("DOCTOR^^1.2.3",),
            purpose="TREATMENT",
            organization="urn:oid:1.2.4",
            authenticated="2026-01-01T00:00:00Z",
        )
        text = asked.enforced.speaker.header(caller, url, "https://gw.demo.example/registry")
        from gateway.codec import soap, xml

        data = soap.request("urn:x", "urn:uuid:1", url, b"<q/>", headers=text)
        envelope = soap.read(data, xml.REQUEST, understood=frozenset({f"{{{soap.WSSE}}}Security"}))
        connected = asked.enforced.gate.admit(
            ssl.PEM_cert_to_DER_cert((one.folder / "node-a.crt.pem").read_text()), "127.0.0.1"
        )
        from gateway.codec import saml

        found = asked.enforced.authentication.people.identify(
            envelope, connected.node, saml.Connection(frozenset({url}), None), "127.0.0.1"
        )
        assert (found.user, found.user_name, found.roles, found.purpose) == (
            "u-1",
            "佐藤 花子",
            ("DOCTOR^^1.2.3",),
            "TREATMENT",
        )
        assert (found.organization, found.authenticated, found.issuer) == (
            "urn:oid:1.2.4",
            "2026-01-01T00:00:00Z",
            "https://sts.demo.example",
        )
        call = Call(asked.enforced.session(), security=asked.enforced.security_of(caller))
        assert call.security(url).startswith("<wsse:Security")
        from gateway.errors import Forbidden

        with pytest.raises(Forbidden):
            asked.enforced.speaker.header(Caller(node=HOME_A), url)
    assert app.ROLES
