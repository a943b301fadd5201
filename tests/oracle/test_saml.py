"""xmlsec as the second opinion on signatures: it verifies what we sign, and what it refuses we do not accept."""

import random

import pytest
from lxml import etree

from gateway.codec import saml, xml
from gateway.errors import GatewayError
from tests.saml_parts import CONNECTION, NOW, NS, certificate, envelope, signed, trust

xmlsec = pytest.importorskip("xmlsec")


def verifies(root: etree._Element, by: str) -> bool:
    """Whether xmlsec finds a good signature of this key on the one assertion."""
    from cryptography.hazmat.primitives.serialization import Encoding

    assertion = root.find(".//saml:Assertion", NS)
    alone = etree.fromstring(etree.tostring(assertion, with_tail=False))
    xmlsec.tree.add_ids(alone, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        certificate(by).public_bytes(Encoding.PEM), xmlsec.constants.KeyDataFormatCertPem
    )
    try:
        context.verify(alone.find("ds:Signature", NS))
    except xmlsec.Error:
        return False
    return True


@pytest.mark.parametrize("by", ["sts", "rsa-sts"])
def test_both_accept_what_signxml_signed(by: str) -> None:
    root = envelope(signed(by=by))
    assert verifies(root, by)
    assert saml.check(root, trust(NOW, certificate(by)), CONNECTION).id == "_a1"


def test_nothing_is_accepted_that_xmlsec_refuses(long: bool) -> None:
    chance = random.Random(7)
    data = etree.tostring(envelope(signed(by="rsa-sts")))
    trusted = trust(NOW, certificate("rsa-sts"))
    begin, end = data.index(b"<saml:Assertion"), data.index(b"</saml:Assertion>")
    agreed = 0
    for _ in range(20_000 if long else 500):
        found = bytearray(data)
        found[chance.randrange(begin, end)] = chance.choice(b' abcdefXYZ0123456789="<>/\n')
        try:
            root = xml.parse(bytes(found), xml.REQUEST)
            saml.check(root, trusted, CONNECTION)
        except GatewayError:
            continue
        assert verifies(root, "rsa-sts")
        agreed += 1
    assert agreed
