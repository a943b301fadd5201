"""Bearer tokens: the claims of IUA read without defaults, and a hostile corpus of which each is refused alike."""

import hmac
import json
import uuid
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt as jose
from joserfc.jwk import ECKey, RSAKey

from gateway.codec import certificates, jwt, scopes
from gateway.errors import BadInput, Unauthenticated, Unavailable
from gateway.model.clock import Chance, Clock
from gateway.services.trust.anchors import Client, TokenIssuer
from gateway.services.trust.nodes import Node
from gateway.services.trust.token_server import ASSERTION, Refused, TokenServer
from gateway.services.trust.tokens import Tokens
from tests import saml_parts

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
ISSUED = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://idp.region-a.example", "https://gw.region-a.example/fhir"
HOME = "urn:oid:1.2.392.200119.999.1"
NODE = Node(HOME, "A", frozenset({HOME.removeprefix("urn:oid:")}))
EC, RSA = (key for key in (ECKey.generate_key("P-256"), RSAKey.generate_key(2048)))


def named(key: Any, kid: str) -> Any:
    return key.import_key({**key.as_dict(private=True), "kid": kid})


EC, RSA = named(EC, "ec"), named(RSA, "rsa")
PUBLIC = {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in (EC, RSA)]}


def claims(**more: Any) -> dict[str, Any]:
    iua = {
        "subject_name": "田中 一郎",
        "subject_organization": "東京総合病院",
        "subject_organization_id": "urn:oid:1.2.392.200119.999.2",
        "home_community_id": HOME,
        "subject_role": [{"system": "urn:oid:1.2.392.200119.999.30", "code": "DOCTOR"}],
        "purpose_of_use": [{"system": "urn:oid:2.16.840.1.113883.5.8", "code": "TREAT"}],
    }
    made = {
        "iss": ISSUER,
        "sub": "u-1",
        "client_id": "viewer",
        "aud": AUDIENCE,
        "jti": "t-1",
        "iat": ISSUED,
        "exp": ISSUED + 300,
        "scope": "user/*.rs patient/Observation.rs?category=laboratory",
        "extensions": {"ihe_iua": iua, "ihe_bppc": {"patient_id": "1^^^&1.2&ISO"}},
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def iua(**more: Any) -> dict[str, Any]:
    made = claims()
    made["extensions"]["ihe_iua"].update(more)
    return made


def signed(made: dict[str, Any], key: Any = EC, algorithm: str = "ES256", **header: Any) -> str:
    return jose.encode({"alg": algorithm, "typ": "at+jwt", "kid": key.kid, **header}, made, key, algorithms=[algorithm])


def tokens(issuer: TokenIssuer | None = None, **more: Any) -> Tokens:
    found = issuer or TokenIssuer(
        ISSUER, AUDIENCE, jwt.ALGORITHMS, timedelta(hours=1), jwt.read_set(json.dumps(PUBLIC).encode())
    )
    anchors = SimpleNamespace(tokens={found.name: found}, skew=timedelta(seconds=60))
    given: dict[str, Any] = {"monotonic": lambda: 0.0, "fetch": None, "ask": None, **more}
    return Tokens(lambda: anchors, given.pop("now", lambda: NOW), **given)  # type: ignore[arg-type, return-value]


def caller(token: str, by: Tokens | None = None, certificate: Any = None) -> Any:
    return (by or tokens()).caller(f"Bearer {token}", NODE, certificate, "192.0.2.1")


def refused(token: str, by: Tokens | None = None) -> str:
    with pytest.raises(Unauthenticated) as found:
        caller(token, by)
    assert (str(found.value), found.value.error) == ("the token is not valid here", "invalid_token")
    return found.value.detail


def test_every_claim_is_carried_and_none_is_made_up() -> None:
    found = caller(signed(claims(auth_time=ISSUED - 60)))
    assert (found.node, found.user, found.user_name, found.issuer, found.assertion) == (
        HOME,
        "u-1",
        "田中 一郎",
        ISSUER,
        "t-1",
    )
    assert (found.roles, found.purpose) == (("DOCTOR^^1.2.392.200119.999.30",), "TREATMENT")
    assert (found.organization, found.home, found.patient) == ("urn:oid:1.2.392.200119.999.2", HOME, "1^^^&1.2&ISO")
    assert found.scopes == ("user/*.rs", "patient/Observation.rs?category=laboratory") and found.client == "viewer"
    assert (found.authenticated, found.address) == ("2026-04-01T02:59:00Z", "192.0.2.1")
    bare = caller(signed(claims(extensions=None)))
    assert (bare.roles, bare.purpose, bare.organization, bare.home, bare.authenticated) == ((), "", "", "", "")


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "RS384")])
def test_algorithms(key: Any, algorithm: str) -> None:
    assert caller(signed(claims(), key, algorithm)).user == "u-1"
    only = TokenIssuer(ISSUER, AUDIENCE, ("ES384",), timedelta(hours=1), jwt.read_set(json.dumps(PUBLIC).encode()))
    assert "algorithm" in refused(signed(claims(), key, algorithm), tokens(only))


@pytest.mark.parametrize("name", ["iss", "sub", "client_id", "aud", "jti", "exp", "iat", "scope"])
@pytest.mark.parametrize("value", [None, "", 5, True, [], {}])
def test_required_claims(name: str, value: Any) -> None:
    if name in ("exp", "iat") and value == 5:
        value = "5"
    refused(signed(claims(**{name: value})))


@pytest.mark.parametrize(
    "more",
    [
        {"iss": "https://other"},
        {"iss": ISSUER + "/"},
        {"aud": "https://other"},
        {"aud": AUDIENCE + "/"},
        {"aud": ["https://other"]},
        {"aud": [AUDIENCE, 5]},
        {"exp": ISSUED - 61},
        {"iat": ISSUED + 61, "exp": ISSUED + 400},
        {"nbf": ISSUED + 61},
        {"exp": ISSUED + 3601},
        {"exp": 1e300},
        {"exp": -1},
        {"cnf": {"x5t#S256": "AAAA"}},
        {"cnf": {"jkt": "AAAA"}},
        {"cnf": "x"},
    ],
)
def test_claims_that_do_not_hold(more: dict[str, Any]) -> None:
    refused(signed(claims(**more)))


def test_time_at_the_edge() -> None:
    assert caller(signed(claims(aud=["https://other", AUDIENCE])))
    assert caller(signed(claims(iat=ISSUED - 300, exp=ISSUED - 59)))
    assert caller(signed(claims(exp=ISSUED + 3600)))


def test_a_token_is_good_on_the_connection_it_names() -> None:
    ours = saml_parts.certificate("node")
    bound = signed(claims(cnf={"x5t#S256": certificates.thumbprint(ours)}))
    assert caller(bound, certificate=ours).user == "u-1"
    refused(bound)


def forged(header: dict[str, Any], made: dict[str, Any], signature: bytes = b"") -> str:
    parts = [urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, made)]
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=") or b"AA"]).decode()


@pytest.mark.parametrize(
    "name", ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "PS256", "EdDSA", "ES256K", "RSA-OAEP"]
)
def test_none_and_whatever_else_is_in_no_list(name: str) -> None:
    refused(forged({"alg": name, "typ": "at+jwt", "kid": "ec"}, claims()))


def test_a_public_key_is_no_secret() -> None:
    """RS256 to HS256: the verifier that lets the token choose takes its public key for the secret."""
    for secret in (
        RSA.as_pem(private=False),
        EC.as_pem(private=False),
        RSA.raw_value.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(PUBLIC["keys"][1]).encode(),
    ):
        text = forged({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}, claims()).rpartition(".")[0]
        mac = urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")).rstrip(b"=").decode()
        refused(f"{text}.{mac}")


def test_what_the_header_brings_along_is_not_looked_at() -> None:
    theirs = named(ECKey.generate_key("P-256"), "ec")
    tricks = {
        "jwk": theirs.as_dict(private=False),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u",
        "x5c": ["MIIB"],
    }
    for name, value in tricks.items():
        head = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", name: value}
        own = urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
        body = signed(claims(), theirs).split(".")[1]
        signature = urlsafe_b64encode(b"\0" * 64).rstrip(b"=").decode()
        refused(f"{own}.{body}.{signature}")
    refused(signed(claims(), theirs))


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"b64": False}, {"typ": "JWE"}, {"kid": "../ec"}, {"kid": 5}, {"alg": None}]
)
def test_headers(header: dict[str, Any]) -> None:
    refused(forged({"alg": "ES256", "typ": "at+jwt", "kid": "ec", **header}, claims(), b"\0" * 64))


def test_the_key_of_one_family_is_not_tried_for_another() -> None:
    refused(forged({"alg": "RS256", "typ": "at+jwt", "kid": "ec"}, claims(), b"\0" * 256))
    refused(forged({"alg": "ES384", "typ": "at+jwt", "kid": "ec"}, claims(), b"\0" * 96))


def test_text_that_is_no_token() -> None:
    good = signed(claims())
    head, body, signature = good.split(".")
    for bad in (
        "",
        "x",
        "a.b",
        "a.b.c.d",
        good + "=",
        f"{head}.{body}.",
        f"{head}..{signature}",
        good[:-4] + "AAAA",
        "é.é.é",
        "a" * 20_000,
        f"{body}.{head}.{signature}",
    ):
        with pytest.raises(Unauthenticated):
            caller(bad)
    twice = urlsafe_b64encode(b'{"iss":"https://idp.region-a.example","iss":"x"}').rstrip(b"=").decode()
    refused(f"{head}.{twice}.{signature}")
    deep = urlsafe_b64encode((b'{"a":' * 5000) + b"1" + b"}" * 5000).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        caller(f"{head}.{deep}.{signature}")


def test_without_a_token_and_with_another_scheme() -> None:
    for given, error in (
        ("", ""),
        ("Basic eA==", "invalid_request"),
        ("Bearer", "invalid_request"),
        ("Bearer ", "invalid_request"),
    ):
        with pytest.raises(Unauthenticated) as found:
            tokens().caller(given, NODE, None, "")
        assert found.value.error == error


@pytest.mark.parametrize(
    "more",
    [
        {"home_community_id": "urn:oid:1.2.3"},
        {"subject_role": "DOCTOR"},
        {"subject_role": [{"code": "DOCTOR"}]},
        {"subject_role": ["DOCTOR"]},
        {"purpose_of_use": [{"system": "x", "code": "MARKETING"}]},
        {"purpose_of_use": [{"system": "x", "code": "TREAT"}, {"system": "x", "code": "HPAYMT"}]},
        {"purpose_of_use": {"code": "TREAT"}},
        {"subject_name": 5},
        {"subject_organization_id": ""},
    ],
)
def test_claims_of_iua_that_cannot_be_read(more: dict[str, Any]) -> None:
    refused(signed(iua(**more)))


def test_organisations_of_a_node() -> None:
    limited = replace(NODE, organizations=frozenset({"urn:oid:1.2.3"}))
    with pytest.raises(Unauthenticated):
        tokens().caller(f"Bearer {signed(claims())}", limited, None, "")


# -- key sets -----------------------------------------------------------------------------------------------------


class Remote:
    """Stands in for the issuer's jwks_url; counts how often it was asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.keys, self.down = 0.0, 0, [EC], False

    def fetch(self, url: str) -> bytes:
        self.asked += 1
        if self.down:
            raise Unavailable("down")
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()

    def tokens(self) -> Tokens:
        issuer = TokenIssuer(ISSUER, AUDIENCE, jwt.ALGORITHMS, timedelta(hours=1), jwks_url="https://idp/jwks")
        return tokens(issuer, monotonic=lambda: self.now, fetch=self.fetch)


def test_key_sets_are_kept_ten_minutes_and_a_new_key_is_found_once_a_minute() -> None:
    remote = Remote()
    reading = remote.tokens()
    for _ in range(5):
        assert caller(signed(claims()), reading)
    assert remote.asked == 1
    rotated = named(ECKey.generate_key("P-256"), "new")
    refused(signed(claims(), rotated), reading)
    assert remote.asked == 1  # within the first minute nobody makes us ask again
    remote.now = 61
    remote.keys = [EC, rotated]
    assert caller(signed(claims(), rotated), reading) and remote.asked == 2
    for number in range(20):
        refused(signed(claims(), named(ECKey.generate_key("P-256"), f"x{number}")), reading)
    assert remote.asked == 2
    remote.now = 61 + 601
    assert caller(signed(claims()), reading) and remote.asked == 3


def test_an_issuer_that_is_down() -> None:
    remote = Remote()
    reading = remote.tokens()
    remote.down = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            caller(signed(claims()), reading)
    assert remote.asked == 1
    remote.now, remote.down = 61, False
    assert caller(signed(claims()), reading)
    remote.now, remote.down = 300, True
    assert caller(signed(claims()), reading)  # what is held still counts
    remote.now = 700
    with pytest.raises(Unavailable):
        caller(signed(claims()), reading)


def test_keys_that_are_none_for_signatures_are_left_out() -> None:
    private = EC.as_dict(private=True)
    small = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "s"}
    odd = [{"kty": "oct", "k": "AAAA"}, {"kty": "OKP"}, {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}, small, 5]
    found = jwt.read_set(json.dumps({"keys": [*odd, {**private, "use": "enc"}, private]}).encode())
    assert len(found.keys) == 1 and not found.keys[0].is_private
    for bad in (b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []' + b" " * 300_000 + b"}"):
        with pytest.raises(BadInput):
            jwt.read_set(bad)


# -- introspection ------------------------------------------------------------------------------------------------


def test_an_opaque_token_is_asked_about_and_the_answer_kept_for_a_minute() -> None:
    now, asked = [0.0], []
    answer: dict[str, Any] = {"active": True, **claims()}
    issuer = TokenIssuer(
        ISSUER,
        AUDIENCE,
        jwt.ALGORITHMS,
        timedelta(hours=1),
        introspection_url="https://idp/i",
        client_id="gw",
        secret="s",
    )

    def ask(url: str, client: str, secret: str, token: str) -> bytes:
        asked.append((url, client, secret, token))
        return json.dumps(answer).encode()

    reading = tokens(issuer, ask=ask, monotonic=lambda: now[0])
    assert caller("opaque", reading).user == "u-1" and caller("opaque", reading)
    assert asked == [("https://idp/i", "gw", "s", "opaque")]
    answer["active"] = False
    assert caller("opaque", reading)
    now[0] = 61
    refused("opaque", reading)
    for wrong in (
        {"active": "true"},
        {"active": True},
        {**claims(), "active": True, "aud": "x"},
        {**claims(), "active": True, "exp": ISSUED - 100},
    ):
        answer.clear()
        answer.update(wrong)
        now[0] += 100
        refused("opaque", reading)
    answer.clear()
    answer.update({"active": True, **claims(exp=None)})
    refused("other", reading)


# -- the embedded server ------------------------------------------------------------------------------------------


BASE = "https://gw.example:8443"
CLIENT = named(ECKey.generate_key("P-256"), "c1")


def server(now: datetime = NOW) -> TokenServer:
    chance = Chance(lambda: uuid.UUID(int=7), lambda size: b"x" * size)
    return TokenServer.make(BASE, None, Clock(lambda: now, lambda: 0.0), chance)


ANCHORS: Any = SimpleNamespace(
    skew=timedelta(seconds=60),
    clients={
        "feeder": Client(
            "feeder",
            jwt.read_set(json.dumps({"keys": [CLIENT.as_dict(private=False)]}).encode()),
            ("system/*.rs",),
            "検査システム",
            "SYSTEM^^1.2.3",
            "TREATMENT",
            "urn:oid:1.2.4",
        )
    },
)


def form(key: Any = CLIENT, **more: Any) -> dict[str, str]:
    made = {"iss": "feeder", "sub": "feeder", "aud": f"{BASE}/oauth/token", "exp": ISSUED + 200, "jti": "j1", **more}
    made = {name: value for name, value in made.items() if value is not None}
    text = jose.encode({"alg": "ES256", "typ": "JWT", "kid": key.kid}, made, key, algorithms=["ES256"])
    return {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs system/Patient.cud offline_access",
        "client_assertion_type": ASSERTION,
        "client_assertion": text,
    }


def test_a_client_gets_a_token_for_what_it_may() -> None:
    giving = server()
    answer = giving.token(form(), ANCHORS)
    assert (answer["scope"], answer["expires_in"], answer["token_type"]) == ("system/Patient.rs", 300, "Bearer")
    found = caller(answer["access_token"], tokens(giving.issuer()))
    assert (found.client, found.user, found.roles, found.purpose) == (
        "feeder",
        "feeder",
        ("SYSTEM^^1.2.3",),
        "TREATMENT",
    )
    asked = giving.introspect({**form(jti="j2"), "token": answer["access_token"]}, ANCHORS)
    assert asked["active"] is True and asked["client_id"] == "feeder"
    assert giving.introspect({**form(jti="j3"), "token": "x"}, ANCHORS) == {"active": False}
    assert giving.introspect({**form(jti="j4"), "token": signed(claims())}, ANCHORS) == {"active": False}


@pytest.mark.parametrize(
    "more",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"aud": "https://other"},
        {"exp": ISSUED - 100},
        {"exp": ISSUED + 500},
        {"exp": None},
        {"jti": None},
        {"key": named(ECKey.generate_key("P-256"), "c1")},
    ],
)
def test_a_client_that_does_not_prove_who_it_is(more: dict[str, Any]) -> None:
    with pytest.raises(Refused) as found:
        server().token(form(**more), ANCHORS)
    assert (found.value.error, found.value.status) == ("invalid_client", 401)


def test_other_grants_scopes_and_the_same_assertion_again() -> None:
    giving = server()
    for change, error in (
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": "other"}, "invalid_client"),
        ({"client_assertion_type": "x"}, "invalid_client"),
        ({"client_assertion": ""}, "invalid_client"),
    ):
        with pytest.raises(Refused) as found:
            giving.token({**form(), **change}, ANCHORS)
        assert found.value.error == error
    for scope in ("", "system/Patient.cud", "user/Patient.rs", "x"):
        with pytest.raises(Refused) as found:
            giving.token({**form(jti=f"s{scope}"), "scope": scope}, ANCHORS)
        assert found.value.error == "invalid_scope"
    assert giving.token(form(), ANCHORS)
    with pytest.raises(Refused):
        giving.token(form(), ANCHORS)


# -- scopes -------------------------------------------------------------------------------------------------------


def test_scopes() -> None:
    assert scopes.read("patient/Observation.rs?category=laboratory&x=1") == scopes.ResourceScope(
        "patient", "Observation", "rs", (("category", "laboratory"), ("x", "1"))
    )
    assert scopes.read("system/*.cruds") == scopes.ResourceScope("system", "*", "cruds")
    assert scopes.read("user/Patient.read") == scopes.ResourceScope("user", "Patient", "rs")
    for bad in (
        "",
        "openid",
        "patient/Patient",
        "patient/Patient.",
        "patient/Patient.sr",
        "patient/Patient.x",
        "group/Patient.rs",
        "patient/patient.rs",
        "patient/Patient.rs?",
        "patient/Patient.rs?x",
        "Patient.rs",
        "patient/Patient.rs patient/*.rs",
    ):
        assert scopes.read(bad) is None, bad
    given = ("launch", "user/Patient.r", "user/Observation.rs?category=laboratory")
    assert scopes.of(given, "Patient", "r") and not scopes.of(given, "Patient", "s")
    assert scopes.of(given, "Observation", "s")[0].query == (("category", "laboratory"),)
    assert not scopes.of(given, "Encounter", "r")
    assert scopes.within("system/Patient.r", ("system/*.rs",)) and not scopes.within(
        "system/*.rs", ("system/Patient.rs",)
    )
    assert scopes.within("system/Observation.rs?category=x", ("system/Observation.rs",))
    assert not scopes.within("system/Observation.rs", ("system/Observation.rs?category=x",))


def test_the_realm_we_ship_names_only_claims_that_are_read() -> None:
    """Its shape, not a Keycloak: every mapper writes a claim of this module, and no client has an implicit or password flow."""
    realm = json.loads(
        (Path(__file__).resolve().parents[2] / "fixtures" / "keycloak" / "musubi-realm.json").read_text()
    )
    read = {"client_id", *(f"extensions.ihe_iua.{name}" for name in claims()["extensions"]["ihe_iua"])}
    for client in realm["clients"]:
        assert not client.get("implicitFlowEnabled") and not client.get("directAccessGrantsEnabled")
        written = {mapper["config"].get("claim.name") for mapper in client["protocolMappers"]} - {None}
        assert written <= read
