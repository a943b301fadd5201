"""Nodes by their keys, files read again while running, replay, rates, and assertions of our own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.codec import certificates
from gateway.codec.certificates import Revoked
from gateway.errors import BadInput, ConfigurationError, TooManyRequests, Unavailable, UnknownNode
from gateway.sandbox.pki import Authority, make
from gateway.services.trust.anchors import LOOK_AGAIN_S, Keeper, load
from gateway.services.trust.limits import Rate
from gateway.services.trust.nodes import Node, node_of
from gateway.services.trust.replay import Seen
from gateway.settings import Settings
from tests.storage import making
from tests.trust_parts import BOTH, HOME_A, HOME_B, Federation

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def authority() -> Authority:
    return Authority.make(NOW)


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def found(authority: Authority, certificate: x509.Certificate, *, revoked: Any = (), **more: Any) -> Node:
    node = Node(HOME_A, "A", frozenset({HOME_A.removeprefix("urn:oid:")}))
    lists = certificates.revoked([authority.revocation_list(revoked)], [authority.certificate])
    given: dict[str, Any] = {"nodes": {certificates.key_hash(certificate): node}, "revoked": lists, "now": NOW, **more}
    return node_of(certificate, **given)


def test_a_node_is_known_by_its_key_whatever_certificate_it_has(authority: Authority) -> None:
    mine = key()
    for name in ("first", "again"):
        assert found(authority, authority.certify(mine, name, BOTH)).id == HOME_A


@pytest.mark.parametrize(
    "more",
    [
        {"nodes": {}},
        {"now": NOW + timedelta(days=31)},
        {"now": NOW - timedelta(days=1)},
        {"revoked": Revoked()},
    ],
)
def test_what_a_registered_key_does_not_excuse(authority: Authority, more: Any) -> None:
    certificate = authority.certify(key(), "a", BOTH)
    lists = more.pop("revoked", None)
    with pytest.raises(UnknownNode):
        if lists is None:
            found(authority, certificate, **more)
        else:
            node_of(certificate, {certificates.key_hash(certificate): Node(HOME_A)}, lists, NOW)
    if lists is not None:  # [tls] revocation = "soft"
        assert node_of(certificate, {certificates.key_hash(certificate): Node(HOME_A)}, lists, NOW, strict=False)


def test_revoked_wrong_use_wildcards_and_another_community(authority: Authority) -> None:
    good = authority.certify(key(), "a", BOTH)
    with pytest.raises(UnknownNode):
        found(authority, good, revoked=[good])
    for certificate in (
        authority.certify(key(), "no use"),
        authority.certify(key(), "server", BOTH[1:]),
        authority.certify(key(), "wild", BOTH, [x509.DNSName("*.example")]),
        authority.certify(key(), "other", BOTH, [x509.UniformResourceIdentifier(HOME_B)]),
    ):
        with pytest.raises(UnknownNode):
            found(authority, certificate)
    assert found(authority, authority.certify(key(), "own", BOTH, [x509.UniformResourceIdentifier(HOME_A)]))


def test_weak_keys() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])

    def made(mine: Any) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(mine.public_key())
        builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
        return builder.sign(mine, hashes.SHA256())

    assert certificates.strong(made(rsa.generate_private_key(65537, 2048)))
    assert certificates.strong(made(ec.generate_private_key(ec.SECP384R1())))
    assert not certificates.strong(made(rsa.generate_private_key(65537, 1024)))
    assert not certificates.strong(made(ec.generate_private_key(ec.SECP256K1())))


def test_a_list_that_another_authority_signed_is_none(authority: Authority) -> None:
    with pytest.raises(BadInput):
        certificates.revoked([Authority.make(NOW).revocation_list()], [authority.certificate])
    for bad in (b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----"):
        with pytest.raises(BadInput):
            certificates.read_lists(bad)
    two = authority.revocation_list().public_bytes(Encoding.PEM) * 2
    assert len(certificates.read_lists(two)) == 2


# -- the files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation(tmp_path / "keys")


def test_everything_is_read_at_once(federation: Federation) -> None:
    anchors = load(federation.settings)
    assert {node.id for node in anchors.nodes.values()} == {HOME_A, HOME_B}
    assert list(anchors.saml) == ["https://sts.demo.example"] and list(anchors.clients) == ["demo-client"]
    assert anchors.signer is not None and anchors.revoked.until is not None and anchors.strict


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("node-a.crt.pem", "", "no PEM certificate"),
        ("node-a.key.pem", "x", "no PEM private key"),
        ("ca.crl.pem", "x", "no PEM revocation list"),
        ("client.jwks.json", "[]", "not a JSON object"),
        ("sts.crt.pem", "node-b.crt.pem", "the key of a node"),
        ("node-a.key.pem", "node-b.key.pem", "is not the key of"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(federation: Federation, name: str, content: str, words: str) -> None:
    other = federation.folder / content
    (federation.folder / name).write_text(other.read_text() if content and other.exists() else content)
    with pytest.raises(ConfigurationError, match=words) as error:
        load(federation.settings)
    assert "BEGIN" not in str(error.value)
    (federation.folder / name).unlink()
    with pytest.raises(ConfigurationError, match="No such file"):
        load(federation.settings)


def test_demo_keys_are_for_loopback(federation: Federation) -> None:
    settings = federation.settings
    for section in ("http", "mllp"):
        public = settings.model_copy(
            update={section: getattr(settings, section).model_copy(update={"host": "0.0.0.0"})}
        )
        with pytest.raises(ConfigurationError, match=r"demo keys on 0\.0\.0\.0"):
            load(public)


def test_demo_keys_are_never_overwritten_and_never_readable(federation: Federation) -> None:
    with pytest.raises(ConfigurationError, match="not empty"):
        make(federation.folder, NOW)
    secret = [path for path in federation.folder.iterdir() if ".key." in path.name]
    assert len(secret) == 5 and all(path.stat().st_mode & 0o077 == 0 for path in secret)


def test_a_changed_file_counts_and_a_broken_one_does_not(federation: Federation) -> None:
    seconds = [0.0]
    keeper = Keeper(federation.settings, lambda: seconds[0])
    federation.revoke("node-b")
    assert keeper().generation == 0  # not yet
    seconds[0] += LOOK_AGAIN_S
    assert keeper().generation == 1 and keeper().revoked.holds(federation.certificate("node-b"))
    (federation.folder / "ca.crl.pem").write_text("half a fi")
    seconds[0] += LOOK_AGAIN_S
    assert keeper().generation == 1 and keeper().revoked.holds(federation.certificate("node-b"))
    federation.revoke()
    seconds[0] += LOOK_AGAIN_S
    assert keeper().generation == 2 and not keeper().revoked.holds(federation.certificate("node-b"))


def test_a_key_and_its_certificate_change_one_after_the_other(federation: Federation) -> None:
    seconds = [0.0]
    keeper = Keeper(federation.settings, lambda: seconds[0])
    fresh = federation.issue("fresh", *BOTH)
    before = keeper().certificate
    for suffix in ("key", "crt"):
        source = federation.folder / f"{fresh}.{suffix}.pem"
        (federation.folder / f"node-a.{suffix}.pem").write_bytes(source.read_bytes())
        seconds[0] += LOOK_AGAIN_S
        assert (keeper().certificate == before) is (suffix == "key")


def test_one_key_two_rows(federation: Federation) -> None:
    text = (federation.folder / "musubi.toml").read_text()
    (federation.folder / "musubi.toml").write_text(
        text + '\n[[security.nodes]]\ncert_file = "node-b.crt.pem"\nid = "urn:oid:1.2"\n'
    )
    with pytest.raises(ConfigurationError, match="its key is that of another"):
        load(federation.settings)


def test_the_example_that_comes_with_demo_keys_is_one(federation: Federation) -> None:
    assert isinstance(federation.settings, Settings) and federation.settings.security.grants[0].actions


# -- replay and rates ---------------------------------------------------------------------------------------------


def test_replay() -> None:
    seen, until = Seen(most=3), NOW + timedelta(minutes=5)
    assert seen.accept("sts", "1", "a", until, NOW) and seen.accept("sts", "1", "a", until, NOW)
    assert not seen.accept("sts", "1", "b", until, NOW)
    assert not seen.accept("sts", "1", "a", until, NOW, once=True)
    assert seen.accept("other", "1", "b", until, NOW)
    assert seen.accept("sts", "1", "b", until, NOW + timedelta(minutes=6))  # it is over: its own time refuses it
    assert seen.accept("sts", "2", "a", until, NOW)
    with pytest.raises(Unavailable):
        seen.accept("sts", "3", "a", until, NOW)
    assert seen.accept("sts", "3", "a", until + timedelta(hours=1), NOW + timedelta(hours=1))


def test_what_one_process_saw_another_and_the_next_one_know(tmp_path: Path) -> None:
    now = datetime(2100, 1, 1, tzinfo=UTC)  # later than the clock by which the storage sweeps
    until = now + timedelta(minutes=5)
    with making.storage(tmp_path) as store, making.storage(tmp_path) as other:
        seen, beside = Seen(memory=store.memory), Seen(memory=other.memory)
        assert seen.accept("sts", "1", "a", until, now)
        assert beside.accept("sts", "1", "a", until, now) and not beside.accept("sts", "1", "b", until, now)
        assert not beside.accept("sts", "1", "a", until, now, once=True)
        assert not Seen("assertion", other.memory).accept("sts", "1", "a", until, now, once=True)
    with making.storage(tmp_path) as store:
        again = Seen(memory=store.memory)
        assert not again.accept("sts", "1", "b", until, now)  # after a restart
        assert Seen("client-assertion", store.memory).accept("sts", "1", "b", until, now)
        assert Seen(memory=store.memory).accept("sts", "1", "b", until, now + timedelta(minutes=6))


def test_of_many_at_once_one_is_the_first(tmp_path: Path) -> None:
    now = datetime(2100, 1, 1, tzinfo=UTC)  # later than the clock by which the storage sweeps
    until = now + timedelta(minutes=5)
    with making.storage(tmp_path) as store, ThreadPoolExecutor(8) as pool:
        seen = [Seen(memory=store.memory) for _ in range(4)]
        for id_ in map(str, range(20)):
            asked = [pool.submit(one.accept, "sts", id_, "a", until, now, once=True) for one in seen * 2]
            assert sum(one.result() for one in asked) == 1


def test_rate() -> None:
    now = [0.0]
    rate = Rate(10, 20, lambda: now[0])
    for _ in range(20):
        rate.take("a")
    with pytest.raises(TooManyRequests) as error:
        rate.take("a")
    assert error.value.retry_after_s == 1
    rate.take("b")
    now[0] = 0.5
    for _ in range(5):
        rate.take("a")
    with pytest.raises(TooManyRequests):
        rate.take("a")


def test_nodes_speak_for_their_communities_only() -> None:
    node = Node(HOME_A, communities=frozenset({"1.2.392.200119.99999.1", "1.2.3"}), transactions=frozenset({"ITI-18"}))
    assert node.speaks_for(HOME_A) and node.speaks_for("1.2.3") and not node.speaks_for("urn:oid:1.2.4")
    assert node.may("ITI-18") and not node.may("ITI-43") and replace(node, transactions=frozenset()).may("ITI-43")
