"""Mutated assertions: whatever is still accepted says exactly what was signed. Short in CI; 200,000 with --long."""

import random
from copy import deepcopy
from dataclasses import replace

from lxml import etree

from gateway.codec import saml, xml
from gateway.errors import GatewayError
from tests.saml_parts import CONNECTION, NOW, NS, Text, certificate, envelope, signed, trust

SHORT, LONG = 3_000, 200_000


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, cut or doubled, most of them inside the Security header."""
    begin, end = data.index(b"<wsse:Security"), data.index(b"</soap:Header>")
    found = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(begin, min(end, len(found) - 1))
        match chance.randrange(5):
            case 0:
                found[at] = chance.randrange(32, 127)
            case 1:
                del found[at : at + chance.randint(1, 8)]
            case 2:
                found[at:at] = found[at : at + chance.randint(1, 200)]
            case 3:
                found[at:at] = chance.choice([b" ", b"<!-- -->", b"&#10;", b"<x/>", b"<?x y?>", b"\n", b"="])
            case _:
                found[at] ^= 1 << chance.randrange(8)
    return bytes(found)


def _tree(root: etree._Element, evil: etree._Element, chance: random.Random) -> bytes:
    """Elements moved, copied, removed and exchanged with those of another, evil assertion."""
    for _ in range(chance.randint(1, 3)):
        elements = list(root.iter(etree.Element))
        one, other = chance.choice(elements), chance.choice(elements)
        match chance.randrange(7):
            case 0 if one.getparent() is not None:
                one.getparent().remove(one)
            case 1:
                other.append(deepcopy(one))
            case 2 if one.getparent() is not None and other not in list(one.iter()):
                other.insert(chance.randint(0, len(other)), one)
            case 3:
                one.text = chance.choice(["", "admin", (one.text or "") + " ", "_a1", "2027-01-01T00:00:00Z"])
            case 4 if one.attrib:
                name = chance.choice(list(one.attrib))
                one.set(name, chance.choice(["", "_a1", "_evil", "#_evil", str(one.get(name)) + "x"]))
            case 5:
                one.set(
                    chance.choice(["ID", "Id", "id", "Version", "URI", "Algorithm"]), chance.choice(["_a1", "#_a1", ""])
                )
            case _:
                theirs = chance.choice(list(evil.iter(etree.Element)))
                one.insert(chance.randint(0, len(one)), deepcopy(theirs))
    return etree.tostring(root)


def test_what_is_accepted_is_what_was_signed(long: bool) -> None:
    chance = random.Random(20260401)
    good = envelope(signed())
    evil = signed(replace(Text(id="_evil"), name="<saml:NameID>attacker</saml:NameID>"), by="attacker")
    trusted = trust(NOW, certificate("sts"), certificate("rsa-sts"))
    said = saml.check(good, trusted, CONNECTION)
    data = etree.tostring(good)
    accepted = refused = 0
    for _ in range(LONG if long else SHORT):
        mutated = _bytes(data, chance) if chance.random() < 0.5 else _tree(deepcopy(good), evil, chance)
        try:
            root = xml.parse(mutated, xml.REQUEST)
        except GatewayError:
            refused += 1
            continue
        try:
            found = saml.check(root, trusted, CONNECTION)
        except saml.SecurityFault:
            refused += 1
            continue
        accepted += 1
        assert found == said
        assert len(root.findall(".//saml:Assertion", NS)) == 1
    assert accepted and refused  # mutations outside what is signed are harmless, and most are not
