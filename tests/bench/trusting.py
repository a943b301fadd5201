"""What it costs to know who asks: the full check of an assertion beside signxml's verification alone, and of a token."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from joserfc.jwk import ECKey
from lxml import etree
from signxml.verifier import XMLVerifier

from gateway.codec import jwt, saml, xml
from tests.bench import material
from tests.bench.measure import Figure, best_of, side_by_side
from tests.saml_parts import CONNECTION, NOW, NS, certificate, envelope, signed, trust

_LOOPS = 50


def trusting(folder: Path, size: material.Size) -> Iterator[Figure]:
    """RSA of 2048 bits, as most issuers have; the floor is what signxml needs for the bytes of the same assertion."""
    message = etree.tostring(envelope(signed(by="rsa-sts")))
    trusted, key = trust(NOW, certificate("rsa-sts")), certificate("rsa-sts")
    root = xml.parse(message, xml.REQUEST)
    data = etree.tostring(root.find(".//saml:Assertion", NS), with_tail=False)
    material.settle()
    checking, verifying = side_by_side(
        lambda: saml.check(root, trusted, CONNECTION),
        lambda: XMLVerifier().verify(data, x509_cert=key),
        3 * size.runs,
        _LOOPS,
    )
    note = f"{len(data)} bytes: {checking.cpu * 1e6:.0f} µs; signxml alone {verifying.cpu * 1e6:.0f} µs"
    yield Figure("assertion, to signxml alone", verifying.cpu / checking.cpu, "x", 0.8, True, note)
    parsing = best_of(lambda: xml.parse(message, xml.REQUEST), size.runs, _LOOPS)
    yield Figure(
        "assertion, reading its envelope", parsing.cpu * 1e6, "µs", note="needed with and without an assertion"
    )
    yield _token(size)


def _token(size: material.Size) -> Figure:
    private = ECKey.generate_key("P-256")
    now = int(NOW.timestamp())
    claims = {"iss": "a", "aud": "b", "iat": now, "exp": now + 300, "sub": "c"}
    text, keys = jwt.sign(claims, private, "ES256"), jwt.KeySet((private,))
    expected = jwt.Expected("a", frozenset({"b"}), NOW, timedelta(seconds=60), timedelta(hours=1))

    def check() -> None:
        jwt.check(jwt.verify(jwt.peek(text), keys, ("ES256",)), expected)

    return Figure("token", best_of(check, size.runs, _LOOPS).cpu * 1e6, "µs", note="ES256, key set in memory")
