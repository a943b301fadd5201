"""Assertions: the good one word for word, and a hostile corpus of which nothing may come out but the right fault."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner

from gateway.codec import saml
from gateway.codec.saml_claims import Coded
from gateway.codec.saml_shape import DS, EXC_C14N, SAML
from gateway.codec.soap import SOAP, WSSE, WSU
from tests.saml_parts import (
    AUDIENCE,
    CONNECTION,
    ENDPOINT,
    HOME,
    ISSUER,
    NOW,
    NS,
    Text,
    certificate,
    checked,
    envelope,
    key,
    signature_of,
    signed,
    trust,
)

EVIL = replace(Text(id="_evil"), name="<saml:NameID>attacker</saml:NameID>")
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


def refused(root: etree._Element, *codes: str, **arguments: Any) -> saml.SecurityFault:
    with pytest.raises(saml.SecurityFault) as found:
        checked(root, **arguments)
    names = [code.partition(":")[2] for code in found.value.subcodes]
    assert len(names) == 1 and names[0] in codes, (names, found.value.finding)
    return found.value


def element(text: str) -> etree._Element:
    return etree.fromstring(text)


def test_every_value_is_what_was_signed() -> None:
    found = checked(envelope(signed()))
    assert found == saml.Assertion(
        id="_a1",
        issuer=ISSUER,
        name_id="u-0001",
        sp_provided_id="tanaka",
        confirmation="bearer",
        authenticated=datetime(2026, 4, 1, 2, 58, tzinfo=UTC),
        context="urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
        not_on_or_after=datetime(2026, 4, 1, 3, 5, tzinfo=UTC),
        one_time=False,
        user_name="田中 一郎",
        organization_id="urn:oid:1.2.392.200119.999.2",
        home=HOME,
        role=Coded("DOCTOR", "1.2.392.200119.999.30"),
        purpose=Coded("TREATMENT", "2.16.840.1.113883.3.18.7.1"),
        organization="東京総合病院",
    )


@pytest.mark.parametrize(
    "method", ["RSA_SHA256", "RSA_SHA384", "RSA_SHA512", "ECDSA_SHA256", "ECDSA_SHA384", "ECDSA_SHA512"]
)
@pytest.mark.parametrize("digest", ["SHA256", "SHA384", "SHA512"])
def test_every_algorithm_of_the_list(method: str, digest: str) -> None:
    by = "rsa-sts" if method.startswith("RSA") else "sts"
    root = signed(by=by, signature_algorithm=SignatureMethod[method], digest_algorithm=DigestAlgorithm[digest])
    assert saml.check(envelope(root), trust(NOW, certificate(by)), CONNECTION).name_id == "u-0001"


def test_the_second_key_of_an_issuer_counts_with_and_without_a_hint() -> None:
    two = trust(NOW, certificate("sts"), certificate("rsa-sts"))
    for by in ("sts", "rsa-sts"):
        for hint in (True, False):
            root = envelope(signed(by=by, with_certificate=hint))
            assert saml.check(root, two, CONNECTION).id == "_a1"


# -- signature wrapping -------------------------------------------------------------------------------------------
# Each takes (original, evil) and gives what stands in the Security header. The names are those the shapes are known by.


def _with_signature(evil: etree._Element, original: etree._Element) -> etree._Element:
    signature = original.find("ds:Signature", NS)
    assert signature is not None
    evil.insert(1, deepcopy(signature))
    return evil


def _bare(original: etree._Element) -> etree._Element:
    bare = deepcopy(original)
    bare.remove(bare.find("ds:Signature", NS))  # type: ignore[arg-type]
    return bare


def _security(*inside: etree._Element) -> etree._Element:
    found = etree.Element(f"{{{WSSE}}}Security", nsmap={"wsse": WSSE})
    found.extend(inside)
    return found


def xsw1(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    carrying = _with_signature(evil, original)
    carrying.find("ds:Signature", NS).append(_security(_bare(original)))  # type: ignore[union-attr]
    return [carrying]


def xsw2(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    carrying = _with_signature(evil, original)
    carrying.insert(1, _security(_bare(original)))
    return [carrying]


def xsw3(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    return [evil, original]


def xsw4(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    evil.append(original)
    return [evil]


def xsw5(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    return [_with_signature(evil, original), _bare(original)]


def xsw6(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    carrying = _with_signature(evil, original)
    carrying.find("ds:Signature", NS).append(_bare(original))  # type: ignore[union-attr]
    return [carrying]


def xsw7(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    extensions = element("<Extensions/>")
    extensions.append(evil)
    return [extensions, original]


def xsw8(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    carrying = _with_signature(evil, original)
    held = etree.SubElement(carrying.find("ds:Signature", NS), f"{{{DS}}}Object")  # type: ignore[arg-type]
    held.append(_bare(original))
    return [carrying]


def behind(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    return [original, evil]


def in_advice(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    advice = etree.SubElement(evil, f"{{{SAML}}}Advice")
    advice.append(original)
    return [evil]


def in_encrypted(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    wrapped = element(f'<saml:EncryptedAssertion xmlns:saml="{SAML}"/>')
    wrapped.append(evil)
    return [wrapped, original]


def in_a_binary_token(original: etree._Element, evil: etree._Element) -> list[etree._Element]:
    wrapped = element(f'<wsse:BinarySecurityToken xmlns:wsse="{WSSE}"/>')
    wrapped.append(original)
    return [evil, wrapped]


WRAPPED = (xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, behind, in_advice, in_encrypted, in_a_binary_token)


@pytest.mark.parametrize("shape", WRAPPED, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("evil_id", ["_evil", "_a1"])
@pytest.mark.parametrize("own_signature", [False, True])
def test_wrapped(shape: Callable[..., list[etree._Element]], evil_id: str, own_signature: bool) -> None:
    """Also with the id of the original, and with a valid signature of the attacker's own key on the evil one."""
    text = replace(EVIL, id=evil_id)
    evil = signed(text, by="attacker") if own_signature else element(str(text))
    refused(envelope(*shape(signed(), evil)), "InvalidSecurity")


@pytest.mark.parametrize("place", ["body", "header", "second"])
@pytest.mark.parametrize("evil_first", [True, False])
def test_the_second_assertion_stands_elsewhere(place: str, evil_first: bool) -> None:
    here, there = (element(str(EVIL)), signed()) if evil_first else (signed(), element(str(EVIL)))
    text = etree.tostring(there, encoding="unicode")
    if place == "body":
        root = envelope(here, body=f"<q>{text}</q>")
    elif place == "header":
        root = envelope(here, header=f"<x:Other xmlns:x='urn:x'>{text}</x:Other>")
    else:
        root = envelope(here, header=f'<wsse:Security xmlns:wsse="{WSSE}" soap:role="urn:other">{text}</wsse:Security>')
    refused(root, "InvalidSecurity")


# -- shape --------------------------------------------------------------------------------------------------------


def test_no_security_no_assertion_and_a_security_for_another() -> None:
    bare = element(f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Header/><soap:Body/></soap:Envelope>')
    refused(bare, "SecurityTokenUnavailable")
    refused(envelope(), "SecurityTokenUnavailable")
    refused(envelope(signed(), role="urn:another"), "InvalidSecurity")
    refused(envelope(f'<saml:EncryptedAssertion xmlns:saml="{SAML}"/>'), "InvalidSecurity")


def test_the_only_assertion_in_the_body_is_not_the_headers() -> None:
    text = etree.tostring(signed(), encoding="unicode")
    refused(envelope(body=f"<q>{text}</q>"), "InvalidSecurity")


def test_an_assertion_of_another_namespace_or_version() -> None:
    old = str(Text()).replace(SAML, "urn:oasis:names:tc:SAML:1.0:assertion")
    refused(envelope(old), "UnsupportedSecurityToken")
    refused(envelope(signed(Text(version="1.1"))), "UnsupportedSecurityToken")
    wrong_wsse = etree.tostring(envelope(signed())).replace(WSSE.encode(), b"http://wsse.example")
    refused(etree.fromstring(wrong_wsse), "SecurityTokenUnavailable")


@pytest.mark.parametrize(
    "name", ["ID", "Id", "id", "iD", f"{{{WSU}}}Id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:x}ID"]
)
@pytest.mark.parametrize("first", [True, False])
def test_the_id_stands_twice_under_any_name(name: str, first: bool) -> None:
    root = envelope(signed(), header="<x:Other xmlns:x='urn:x'/>")
    (root if first else root[-1]).set(name, "_a1")
    refused(root, "InvalidSecurity")


@pytest.mark.parametrize("id_", ["", "1a", "a b", "a'b", "ａ", "a" * 300])
def test_an_id_that_is_none(id_: str) -> None:
    root = envelope(signed())
    root.find(".//saml:Assertion", NS).set("ID", id_)  # type: ignore[union-attr]
    refused(root, "InvalidSecurity")


def test_comments_and_instructions_are_refused_wherever_they_stand() -> None:
    for path in (
        "saml:Subject/saml:NameID",
        "ds:Signature/ds:SignedInfo/ds:Reference/ds:DigestValue",
        "saml:Conditions",
        ".",
    ):
        for odd in (etree.Comment("x"), etree.ProcessingInstruction("x", "y")):
            root = signed()
            root.find(path, NS).append(odd)  # type: ignore[union-attr]
            refused(envelope(root), "InvalidSecurityToken")


def test_a_comment_that_cuts_the_name_was_signed_without_it() -> None:
    """Canonicalisation drops comments: `admin<!---->.evil` is signed as `admin.evil` and read by many as `admin`."""
    whole = signed(replace(Text(), name="<saml:NameID>admin.evil</saml:NameID>"))
    assert checked(envelope(whole)).name_id == "admin.evil"
    text = etree.tostring(whole, encoding="unicode").replace("admin.evil", "admin<!-- -->.evil")
    refused(envelope(text), "InvalidSecurityToken")


def test_cdata_reads_as_the_text_that_was_signed() -> None:
    text = etree.tostring(signed(), encoding="unicode").replace(">u-0001<", "><![CDATA[u-0001]]><")
    assert checked(envelope(text)).name_id == "u-0001"


# -- signature ----------------------------------------------------------------------------------------------------


def changed(path: str, change: Callable[[etree._Element], None]) -> etree._Element:
    root = signed()
    found = root.find(path, NS)
    assert found is not None
    change(found)
    return envelope(root)


INFO = "ds:Signature/ds:SignedInfo"


def test_unsigned_and_signed_twice() -> None:
    refused(envelope(str(Text())), "FailedCheck")
    twice = signed()
    twice.append(deepcopy(twice.find("ds:Signature", NS)))  # type: ignore[arg-type]
    refused(envelope(twice), "FailedCheck")


def test_the_signature_stands_deeper_than_the_assertion() -> None:
    root = signed()
    root.find("saml:Subject", NS).append(root.find("ds:Signature", NS))  # type: ignore[union-attr, arg-type]
    refused(envelope(root), "FailedCheck")


@pytest.mark.parametrize(
    ("path", "algorithm"),
    [
        ("ds:CanonicalizationMethod", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        ("ds:CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
        ("ds:SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        ("ds:SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        ("ds:SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        ("ds:SignatureMethod", "http://www.w3.org/2000/09/xmldsig#dsa-sha1"),
        ("ds:SignatureMethod", ""),
        ("ds:Reference/ds:DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"),
        ("ds:Reference/ds:DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#md5"),
        ("ds:Reference/ds:Transforms/ds:Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
        ("ds:Reference/ds:Transforms/ds:Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
        ("ds:Reference/ds:Transforms/ds:Transform", "http://www.w3.org/2000/09/xmldsig#base64"),
        ("ds:Reference/ds:Transforms/ds:Transform", "http://www.w3.org/2002/06/xmldsig-filter2"),
    ],
)
def test_algorithms_outside_the_list(path: str, algorithm: str) -> None:
    refused(changed(f"{INFO}/{path}", lambda found: found.set("Algorithm", algorithm)), "UnsupportedAlgorithm")


def test_an_hmac_with_the_public_certificate_as_its_secret() -> None:
    root = element(str(Text()))
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.HMAC_SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    secret = certificate("sts").public_bytes(__import__("cryptography").hazmat.primitives.serialization.Encoding.PEM)
    done = signer.sign(root, key=secret, reference_uri="_a1", id_attribute="ID")
    refused(envelope(done), "UnsupportedAlgorithm", "FailedCheck")


@pytest.mark.parametrize(
    "uri",
    [None, "", "#", "#_b1", "#xpointer(/)", "#xpointer(id('_a1'))", "http://x.example/a", "file:///etc/passwd", "_a1"],
)
def test_a_reference_to_anything_else(uri: str | None) -> None:
    def point(found: etree._Element) -> None:
        if uri is None:
            del found.attrib["URI"]
        else:
            found.set("URI", uri)

    refused(changed(f"{INFO}/ds:Reference", point), "FailedCheck")


def test_two_references_two_signed_infos_and_an_object() -> None:
    refused(changed(INFO, lambda found: found.append(deepcopy(found[-1]))), "FailedCheck")
    refused(changed("ds:Signature", lambda found: found.insert(0, deepcopy(found[0]))), "FailedCheck")
    refused(changed("ds:Signature", lambda found: found.append(deepcopy(found[0]))), "FailedCheck")
    refused(changed("ds:Signature", lambda found: found.append(element(f'<Object xmlns="{DS}"/>'))), "FailedCheck")


def test_a_third_transform_and_transforms_in_another_order() -> None:
    path = f"{INFO}/ds:Reference/ds:Transforms"
    refused(changed(path, lambda found: found.append(deepcopy(found[-1]))), "FailedCheck")
    refused(changed(path, lambda found: found.append(found[0])), "FailedCheck")
    refused(changed(path, lambda found: found.remove(found[0])), "FailedCheck")
    xpath = element(f'<XPath xmlns="{DS}">true()</XPath>')
    refused(changed(f"{path}/ds:Transform", lambda found: found.append(xpath)), "FailedCheck")


def test_parameters_where_none_belong() -> None:
    length = element(f'<HMACOutputLength xmlns="{DS}">1</HMACOutputLength>')
    refused(changed(f"{INFO}/ds:SignatureMethod", lambda found: found.append(length)), "UnsupportedAlgorithm")


def test_a_digest_of_nothing_and_a_signature_of_nothing() -> None:
    refused(changed(f"{INFO}/ds:Reference/ds:DigestValue", lambda found: found.clear()), "FailedCheck")
    refused(changed("ds:Signature/ds:SignatureValue", lambda found: found.clear()), "FailedCheck")
    nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    refused(
        changed(f"{INFO}/ds:Reference/ds:DigestValue", lambda found: setattr(found, "text", nothing)), "FailedCheck"
    )


def test_the_list_of_prefixes_is_taken_and_nothing_else() -> None:
    prefixes = element(f'<InclusiveNamespaces xmlns="{EXC_C14N}" PrefixList="saml"/>')
    canonical = f"{INFO}/ds:CanonicalizationMethod"
    refused(changed(canonical, lambda found: found.append(prefixes)), "FailedCheck")  # changed after it was signed
    refused(changed(canonical, lambda found: found.append(element("<x/>"))), "FailedCheck")


def test_a_namespace_that_is_relative_does_not_void_the_canonical_form() -> None:
    """libxml2 refuses to canonicalise it; if a version gave nothing back instead, anything would match its digest."""
    text = etree.tostring(signed(), encoding="unicode").replace("<saml:Subject>", '<saml:Subject xmlns:v="1">')
    refused(envelope(text), "FailedCheck")


# -- issuer and keys ----------------------------------------------------------------------------------------------


def test_an_unknown_issuer_and_a_wrong_signature_are_answered_alike() -> None:
    one = refused(envelope(signed(replace(Text(), issuer="https://sts.other.example"))), "FailedCheck")
    other = refused(envelope(signed(by="attacker", with_certificate=False)), "FailedCheck")
    assert (one.code, one.reason, one.subcodes, one.detail) == (other.code, other.reason, other.subcodes, other.detail)


@pytest.mark.parametrize("old_first", [True, False])
@pytest.mark.parametrize("hint", [True, False])
def test_a_key_taken_back_does_not_live_on_beside_the_new_one(old_first: bool, hint: bool) -> None:
    old, new = certificate("sts"), certificate("second")
    both = trust(NOW, *((old, new) if old_first else (new, old)))
    for name, taken in (("sts", False), ("second", True)):
        root = envelope(signed(by=name, with_certificate=hint))
        held = replace(both, revoked=lambda one: one == old)
        if taken:
            assert saml.check(root, held, CONNECTION).id == "_a1"
        else:
            with pytest.raises(saml.SecurityFault):
                saml.check(root, held, CONNECTION)
    over = certificate("second", (-10, -1))
    expired = trust(NOW, *((over, old) if old_first else (old, over)))
    with pytest.raises(saml.SecurityFault):
        saml.check(envelope(signed(by="second", with_certificate=False)), expired, CONNECTION)


def test_whether_an_issuer_is_known_cannot_be_told_by_how_much_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[bytes] = []
    real = saml._signed_by
    monkeypatch.setattr(saml, "_signed_by", lambda data, *rest: verified.append(data) or real(data, *rest))
    for text in (Text(), Text(issuer="https://nobody.example")):
        for hint in (True, False):
            refused(envelope(signed(text, by="attacker", with_certificate=hint)), "FailedCheck")
    assert len(verified) == 4


@pytest.mark.parametrize("issuer", [ISSUER + " ", " " + ISSUER, ISSUER + "/", ISSUER.upper(), "", f"{ISSUER}<x/>"])
def test_an_issuer_that_only_looks_like_ours(issuer: str) -> None:
    refused(envelope(signed(replace(Text(), issuer=issuer))), "FailedCheck", "InvalidSecurityToken")


def test_the_certificate_that_comes_along_is_never_trusted() -> None:
    refused(envelope(signed(by="attacker")), "FailedCheck")
    swapped = signed()
    theirs = signature_of(element(str(Text())), "attacker").find("ds:KeyInfo", NS)
    ours = swapped.find("ds:Signature/ds:KeyInfo", NS)
    ours.getparent().replace(ours, theirs)  # type: ignore[union-attr, arg-type]
    refused(envelope(swapped), "FailedCheck")


def test_tricks_of_key_info() -> None:
    path = "ds:Signature/ds:KeyInfo"
    for extra in (
        f'<RetrievalMethod xmlns="{DS}" URI="http://x.example/key"/>',
        f'<wsse:SecurityTokenReference xmlns:wsse="{WSSE}"/>',
        f'<MgmtData xmlns="{DS}"/>',
    ):
        refused(changed(path, lambda found, extra=extra: found.append(element(extra))), "FailedCheck")  # type: ignore[misc]
    bare = signed(with_certificate=False)
    information = element(f'<KeyInfo xmlns="{DS}"><KeyValue/></KeyInfo>')
    bare.find("ds:Signature", NS).append(information)  # type: ignore[union-attr]
    refused(envelope(bare), "FailedCheck")
    refused(
        changed(f"{path}/ds:X509Data/ds:X509Certificate", lambda found: setattr(found, "text", "####")), "FailedCheck"
    )
    more = deepcopy(signed(by="attacker").find(f"{path}/ds:X509Data", NS))
    refused(changed(path, lambda found: found.append(more)), "FailedCheck")  # type: ignore[arg-type]


def test_a_key_that_does_not_count_today() -> None:
    root = envelope(signed(with_certificate=False))
    for days in ((-10, -5), (5, 10)):
        with pytest.raises(saml.SecurityFault):
            saml.check(root, trust(NOW, certificate("sts", days)), CONNECTION)
    withdrawn = replace(trust(), revoked=lambda one: one == certificate("sts"))
    with pytest.raises(saml.SecurityFault) as found:
        saml.check(root, withdrawn, CONNECTION)
    assert found.value.subcodes == ("wsse:FailedCheck",)


def test_without_any_issuer_nobody_passes() -> None:
    with pytest.raises(saml.SecurityFault):
        saml.check(envelope(signed()), saml.Trust({}, NOW), CONNECTION)


# -- conditions, subject, authentication --------------------------------------------------------------------------


def says(text: Text, *codes: str, now: datetime = NOW) -> None:
    refused(envelope(signed(text)), *codes, now=now)


def test_time() -> None:
    good, skew, ends = Text(), timedelta(seconds=60), datetime(2026, 4, 1, 3, 5, tzinfo=UTC)
    assert checked(envelope(signed(good)), now=ends + skew - timedelta(seconds=1))
    says(good, "MessageExpired", now=ends + skew)
    begins = datetime(2026, 4, 1, 2, 59, tzinfo=UTC)
    early = replace(good, issued=begins, authentication=good.authentication.replace("02:58:00", "02:50:00"))
    assert checked(envelope(signed(early)), now=begins - skew)
    says(early, "InvalidSecurityToken", now=begins - skew - timedelta(seconds=1))
    says(replace(good, issued=NOW + timedelta(seconds=61)), "InvalidSecurityToken")


@pytest.mark.parametrize(
    "when",
    [
        "",
        "2026-04-01",
        "2026-04-01T02:59:00",
        "2026-04-01T11:59:00+09:00",
        "２０２６-04-01T02:59:00Z",
        "2026-13-01T02:59:00Z",
    ],
)
def test_a_time_that_is_none(when: str) -> None:
    says(replace(Text(), before=when), "InvalidSecurityToken")


def test_a_bearer_for_an_hour_and_nobody_for_more_than_four() -> None:
    says(replace(Text(), after="2026-04-01T03:59:01Z"), "InvalidSecurityToken")
    assert checked(envelope(signed(replace(Text(), after="2026-04-01T03:59:00Z"))))
    long = replace(Text(), after="2026-04-01T06:59:00Z")
    assert checked(envelope(signed(long)), lifetime=timedelta(hours=4))
    says(replace(Text(), after="2026-04-01T06:59:01Z"), "InvalidSecurityToken")
    says(replace(Text(), before="2026-04-01T03:06:00Z"), "InvalidSecurityToken")


def restricted(*audiences: str) -> str:
    return (
        "<saml:AudienceRestriction>"
        + "".join(f"<saml:Audience>{one}</saml:Audience>" for one in audiences)
        + "</saml:AudienceRestriction>"
    )


def test_audience() -> None:
    for bad in ((), ("https://other",), (AUDIENCE + "/",), (" " + AUDIENCE,)):
        says(replace(Text(), conditions=restricted(*bad)), "InvalidSecurityToken")
    says(replace(Text(), conditions=""), "InvalidSecurityToken")
    says(replace(Text(), conditions=restricted(AUDIENCE) + restricted("https://other")), "InvalidSecurityToken")
    assert checked(envelope(signed(replace(Text(), conditions=restricted("https://other", AUDIENCE)))))


def test_conditions_that_are_not_known_are_not_ignored() -> None:
    for odd in ('<saml:Condition xmlns:x="urn:x"/>', "<saml:ProxyRestriction/>", '<x:Limit xmlns:x="urn:x"/>'):
        says(replace(Text(), conditions=restricted(AUDIENCE) + odd), "InvalidSecurityToken")
    assert checked(envelope(signed(replace(Text(), conditions=restricted(AUDIENCE) + "<saml:OneTimeUse/>")))).one_time


def confirmation(method: str, data: str) -> Text:
    return replace(
        Text(), confirmation=f'<saml:SubjectConfirmation Method="{method}">{data}</saml:SubjectConfirmation>'
    )


def test_confirmation() -> None:
    late = 'NotOnOrAfter="2026-04-01T03:05:00Z"'
    says(replace(Text(), confirmation=""), "InvalidSecurityToken")
    says(confirmation(BEARER, ""), "InvalidSecurityToken")
    says(confirmation(BEARER, "<saml:SubjectConfirmationData/>"), "InvalidSecurityToken")
    says(confirmation(BEARER, '<saml:SubjectConfirmationData NotOnOrAfter="2026-04-01T02:59:00Z"/>'), "MessageExpired")
    says(
        confirmation(BEARER, f'<saml:SubjectConfirmationData {late} Recipient="https://other"/>'),
        "InvalidSecurityToken",
    )
    says(confirmation("bearer", f"<saml:SubjectConfirmationData {late}/>"), "InvalidSecurityToken")
    vouches = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"
    says(confirmation(vouches, ""), "InvalidSecurityToken")
    assert checked(envelope(signed(confirmation(vouches, ""))), confirmations=frozenset({"sender-vouches"}))
    assert checked(envelope(signed(confirmation(BEARER, f"<saml:SubjectConfirmationData {late}/>"))))
    assert checked(
        envelope(signed(confirmation(BEARER, f'<saml:SubjectConfirmationData {late} Recipient="{AUDIENCE}"/>')))
    )


def test_holder_of_key_is_the_key_of_the_connection() -> None:
    from base64 import b64encode

    from cryptography.hazmat.primitives.serialization import Encoding

    der = b64encode(certificate("node").public_bytes(Encoding.DER)).decode()
    data = f'<saml:SubjectConfirmationData><KeyInfo xmlns="{DS}"><X509Data><X509Certificate>{der}</X509Certificate></X509Data></KeyInfo></saml:SubjectConfirmationData>'
    text = confirmation("urn:oasis:names:tc:SAML:2.0:cm:holder-of-key", data)
    of_node = saml.Connection(frozenset(), certificate("node"))
    assert checked(envelope(signed(text)), connection=of_node).confirmation == "holder-of-key"
    for other in (saml.Connection(frozenset(), certificate("attacker")), CONNECTION):
        refused(envelope(signed(text)), "FailedAuthentication", connection=other)
    empty = confirmation("urn:oasis:names:tc:SAML:2.0:cm:holder-of-key", "<saml:SubjectConfirmationData/>")
    refused(envelope(signed(empty)), "FailedAuthentication", connection=of_node)
    four_hours = replace(text, after="2026-04-01T06:59:00Z")
    assert checked(envelope(signed(four_hours)), connection=of_node)


def test_authentication() -> None:
    good = Text().authentication
    for bad in (
        "",
        good + good,
        good.replace("02:58:00", "03:02:00"),
        good.replace(' AuthnInstant="2026-04-01T02:58:00Z"', ""),
        good.replace("urn:oasis:names:tc:SAML:2.0:ac:classes:X509", ""),
        good.replace("</saml:AuthnContext>", "</saml:AuthnContext><saml:AuthnContext/>"),
        good.replace(
            "</saml:AuthnContext>", "<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef></saml:AuthnContext>"
        ),
    ):
        says(replace(Text(), authentication=bad), "InvalidSecurityToken")
    over = good.replace("<saml:AuthnStatement", '<saml:AuthnStatement SessionNotOnOrAfter="2026-04-01T02:59:00Z"')
    says(replace(Text(), authentication=over), "MessageExpired")


def test_a_subject_without_a_name() -> None:
    for bad in (
        "",
        "<saml:NameID/>",
        "<saml:NameID> </saml:NameID>",
        "<saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID>",
        f"<saml:NameID>{'a' * 1001}</saml:NameID>",
    ):
        says(replace(Text(), name=bad), "InvalidSecurityToken")


# -- attributes ---------------------------------------------------------------------------------------------------

REQUIRED = ("subject-id", "organization-id", "homeCommunityId", "subject:role", "purposeofuse")


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_is_never_filled_in(name: str) -> None:
    says(Text().with_attribute(name, None), "FailedAuthentication")
    says(Text().with_attribute(name, ""), "FailedAuthentication")
    says(Text().with_attribute(name, "  "), "FailedAuthentication")
    one = dict(Text().attributes)
    value = next(value for key_, value in one.items() if key_.endswith(name))
    says(
        Text().with_attribute(name, f"{value}</saml:AttributeValue><saml:AttributeValue>{value}"),
        "FailedAuthentication",
    )
    twice = replace(
        Text(), attributes=(*Text().attributes, *(pair for pair in Text().attributes if pair[0].endswith(name)))
    )
    says(twice, "FailedAuthentication")


@pytest.mark.parametrize("name", ["subject:role", "purposeofuse"])
def test_a_code_has_a_system(name: str) -> None:
    element_ = "Role" if name == "subject:role" else "PurposeOfUse"
    for bad in (
        "DOCTOR",
        f'<{element_} xmlns="urn:hl7-org:v3" code="DOCTOR"/>',
        f'<{element_} xmlns="urn:hl7-org:v3" codeSystem="1.2"/>',
        f'<{element_} xmlns="urn:other" code="DOCTOR" codeSystem="1.2"/>',
        f'<{element_} xmlns="urn:hl7-org:v3" code="A" codeSystem="1.2"/><{element_} xmlns="urn:hl7-org:v3" code="B" codeSystem="1.2"/>',
    ):
        says(Text().with_attribute(name, bad), "FailedAuthentication")


def test_optional_attributes_are_read_when_they_are_said() -> None:
    more = (
        ("urn:oasis:names:tc:xacml:2.0:resource:resource-id", "1^^^&amp;1.2&amp;ISO"),
        ("urn:ihe:iti:bppc:2007:docid", "urn:oid:1.2.3"),
        ("urn:ihe:iti:xua:2012:acp", "urn:oid:1.2.4"),
        ("urn:oasis:names:tc:xspa:1.0:subject:npi", "123"),
        ("urn:musubi:attribute:btg-id", "b-1"),
    )
    found = checked(envelope(signed(replace(Text(), attributes=Text().attributes + more))))
    said = (found.patient, found.consent, found.policy, found.licence, found.break_glass)
    assert said == ("1^^^&1.2&ISO", "urn:oid:1.2.3", "urn:oid:1.2.4", "123", "b-1")


# -- the rest of the header ---------------------------------------------------------------------------------------


def test_the_timestamp_of_the_message() -> None:
    def stamp(created: str, expires: str) -> str:
        return f'<wsu:Timestamp xmlns:wsu="{WSU}"><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>'

    good = stamp("2026-04-01T03:00:00Z", "2026-04-01T03:05:00Z")
    assert checked(envelope(good, signed()))
    refused(envelope(stamp("2026-04-01T02:00:00Z", "2026-04-01T02:05:00Z"), signed()), "MessageExpired")
    refused(envelope(stamp("2026-04-01T04:00:00Z", "2026-04-01T04:05:00Z"), signed()), "MessageExpired")
    refused(envelope(good, good, signed()), "InvalidSecurity")
    refused(envelope(stamp("now", "then"), signed()), "InvalidSecurityToken")


def test_an_assertion_that_is_too_large() -> None:
    refused(envelope(signed(replace(Text(), more=f"<x>{'a' * 300_000}</x>"))), "InvalidSecurityToken")


def test_the_assertion_is_the_same_in_utf_16_and_under_another_prefix() -> None:
    root = envelope(signed())
    again = etree.fromstring(etree.tostring(root, encoding="UTF-16"))
    assert checked(again).user_name == "田中 一郎"


def test_key_of_the_tests_is_not_a_key_of_the_product() -> None:
    assert key("sts") is key("sts") and ENDPOINT != AUDIENCE
