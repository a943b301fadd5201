"""Two communities in enforced mode on real sockets, with a person known to both, and people who ask them."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from gateway.codec import soap
from gateway.codec.soap import WSSE
from gateway.model.audit import AuditRecord
from gateway.model.identity import PatientId
from gateway.settings import Settings, load
from tests import saml_parts
from tests.policy_parts import CLINIC, HOSPITAL, MEDICAL_ID, PHARMACY, PRIVACY, ROLES, fed
from tests.storage.making import outcome
from tests.trust_parts import AUDIENCE, HOME_A, HOME_B, STS, Federation, Running, free_port, running

PERSON, SHARED = PatientId("1", HOSPITAL), PatientId("M1", MEDICAL_ID)
ROLE_SCHEME = f"urn:oid:{ROLES}"


@dataclass
class Place(Federation):
    """One of two nodes that share a folder of keys: its own configuration file, database and port."""

    name: str = "node-a"
    home: str = HOME_A
    other: int = 0
    """Port of the other one."""
    grants: str = ""
    file: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.file = f"{self.name}.toml"

    @property
    def settings(self) -> Settings:
        return load(self.folder / self.file, {})

    def configure(self, keys: Federation) -> None:
        """Writes the configuration; `keys` made the folder."""
        self.__dict__["idp"] = keys.idp
        text = (self.folder / "musubi-enforced.toml").read_text()
        text = text.replace(f'[community]\nid = "{HOME_A}"', f'[community]\nid = "{self.home}"\nname = "{self.name}"')
        own = text.partition("[tls]")
        tls, security, rest = own[2].partition("[security]")
        text = own[0] + "[tls]" + tls.replace("node-a", self.name) + security + rest.partition("[[security.grants]]")[0]
        far = HOME_B if self.home == HOME_A else HOME_A
        at = f"https://localhost:{self.other}"
        (self.folder / self.file).write_text(
            f"""{text}
{self.grants}
[http]
port = {self.http_port}
[mllp]
port = {self.mllp_port}
[database]
url = "sqlite:///{self.name}.db"
[blobs]
url = "file:{self.name}-blobs"
[matching]
mode = "off"
[[security.jwt_issuers]]
issuer = "https://idp.demo.example"
jwks_file = "idp.jwks.json"
audience = "https://gw.demo.example/fhir"
[[security.jwt_issuers]]
issuer = "{STS}"
jwks_file = "sts.jwks.json"
audience = "https://gw.demo.example/fhir"
[[authorities]]
oid = "{HOSPITAL}"
namespace = "HOSPITAL"
[[authorities]]
oid = "{CLINIC}"
namespace = "CLINIC"
[[authorities]]
oid = "{PHARMACY}"
namespace = "PHARMACY"
[[authorities]]
oid = "{MEDICAL_ID}"
namespace = "MEDICAL-ID"
kind = "medical-id"
[[peers]]
id = "{far}"
name = "{"node-b" if self.name == "node-a" else "node-a"}"
xcpd = "{at}/xcpd"
xca = "{at}/xca"
fhir = "{at}/fhir"
audience = "{AUDIENCE}"
fhir_audience = "https://gw.demo.example/fhir"
"""
        )


def grant(role: str, purposes: str, actions: str, types: str, more: str = "") -> str:
    words = {name: json.dumps(value.split()) for name, value in
             (("purposes", purposes), ("actions", actions), ("types", types))}  # fmt: skip
    return (
        f'[[security.grants]]\nrole = "{role}^^{ROLES}"\npurposes = {words["purposes"]}\n'
        f"actions = {words['actions']}\ntypes = {words['types']}\n{more}\n"
    )


DOCTOR = grant("DOCTOR", "TREATMENT EMERGENCY", "query retrieve read", "*")
DESK = grant("DESK", "OPERATIONS", "query read submit", "Consent Patient AuditEvent")
PHARMACIST = grant("PHARMACIST", "TREATMENT", "query retrieve read", "Patient MedicationRequest")


@dataclass
class Two:
    """Both nodes, running."""

    a: Running
    b: Running


@contextmanager
def two(folder: Path, grants_b: str = DOCTOR + DESK + PHARMACIST) -> Iterator[Two]:
    """The person is known to A at a hospital and to B at a clinic, under one medical ID."""
    keys = Federation(folder)
    sts = ECKey.import_key((folder / "sts.key.pem").read_bytes())
    (folder / "sts.jwks.json").write_text(json.dumps({"keys": [{**sts.as_dict(private=False), "use": "sig"}]}))
    ports = free_port(), free_port()
    places = [
        Place(folder, name=name, home=home, http_port=port, other=other, grants=grants, now=keys.now)
        for name, home, port, other, grants in (
            ("node-a", HOME_A, ports[0], ports[1], DOCTOR + DESK + PHARMACIST),
            ("node-b", HOME_B, ports[1], ports[0], grants_b),
        )
    ]
    with ExitStack() as stack:
        nodes = []
        for number, place in enumerate(places):
            place.configure(keys)
            made = stack.enter_context(running(place))
            id_ = PERSON if number == 0 else PatientId("1", CLINIC)
            outcomes = [outcome(one) for one in fed(id_, SHARED.value, number + 1)]
            made.node.parts.keeping.keep(outcomes, lambda one, state: AuditRecord("110107", "ingest", "C", 0, "test"))
            nodes.append(made)
        yield Two(*nodes)


# -- who asks ----------------------------------------------------------------------------------------------------------


def bearer(node: Running, role: str = "DOCTOR", purpose: str = "TREAT", home: str = HOME_B, **claims: Any) -> str:
    """A token of the demo's identity provider."""
    iua = {
        "subject_name": "田中 一郎",
        "subject_organization_id": f"urn:oid:{HOSPITAL}",
        "home_community_id": home,
        "subject_role": [{"system": ROLE_SCHEME, "code": role}],
        "purpose_of_use": [{"system": "urn:oid:2.16.840.1.113883.5.8", "code": purpose}],
    }
    extensions = {"ihe_iua": iua, **claims.pop("extensions", {})}
    return f"Bearer {node.federation.token(extensions=extensions, **claims)}"


def call(
    node: Running, method: str, path: str, body: Any = None, by: str = "node-b", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request by a node's certificate."""
    context = node.federation.client(by)
    connection = http.client.HTTPSConnection("localhost", node.port, timeout=20, context=context)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def fhir(node: Running, path: str, token: str, method: str = "GET", body: Any = None) -> tuple[int, dict[str, Any]]:
    kind = {"Content-Type": "application/fhir+json"} if body is not None else {}
    data = None if body is None else json.dumps(body).encode()
    status, _, answer = call(node, method, path, data, Authorization=token, **kind)
    return status, json.loads(answer) if answer else {}


def consent(node: Running, patient: PatientId, type_: str = "permit") -> str:
    """Recorded by the desk of the facility (ITI-108); its id."""
    body = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": PRIVACY, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": f"urn:oid:{patient.authority}", "value": patient.value}},
        "dateTime": node.node.clock.now().isoformat(),
        "policy": [{"uri": "https://example.org/policy"}],
        "provision": {"type": type_},
    }
    desk = bearer(node, "DESK", "HOPERAT", scope="user/Consent.cruds")
    status, kept = fhir(node, "/fhir/Consent", desk, "POST", body)
    assert status == 201, kept
    return str(kept["id"])


def assertion(node: Running, role: str = "DOCTOR", id_: str = "_x", home: str = HOME_B, **attributes: str) -> str:
    """A wsse:Security block signed by the demo's STS."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from lxml import etree
    from signxml.algorithms import CanonicalizationMethod, SignatureMethod
    from signxml.signer import XMLSigner

    code = f'<Role xmlns="urn:hl7-org:v3" code="{role}" codeSystem="{ROLES}"/>'
    text: saml_parts.Text = node.federation.text(id=id_).with_attribute("homeCommunityId", home)
    text = text.with_attribute("urn:oasis:names:tc:xacml:2.0:subject:role", code)
    for name, value in attributes.items():
        text = text.with_attribute(name, value)
    signing = XMLSigner(
        signature_algorithm=SignatureMethod.ECDSA_SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    folder = node.federation.folder
    key: Any = load_pem_private_key((folder / "sts.key.pem").read_bytes(), None)
    pem = (folder / "sts.crt.pem").read_text()
    done = signing.sign(etree.fromstring(str(text)), key=key, cert=pem, reference_uri=text.id, id_attribute="ID")
    return f'<wsse:Security xmlns:wsse="{WSSE}">{etree.tostring(done, encoding="unicode")}</wsse:Security>'


def post(node: Running, path: str, action: str, body: bytes, security: str) -> tuple[int, bytes]:
    """A SOAP message by node-b's certificate."""
    data = soap.request(action, "urn:uuid:1", f"https://localhost{path}", body, headers=security)
    kind = {"Content-Type": "application/soap+xml; charset=UTF-8"}
    status, _, answer = call(node, "POST", path, data, **kind)
    return status, answer


def reasons(node: Running) -> list[str]:
    """What the audit trail says of each request."""
    return [one.record.detail for one in node.node.parts.trail.after(0, 100_000)]
