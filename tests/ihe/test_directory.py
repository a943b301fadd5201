"""Communities of a file and of a FHIR directory; what musubi.toml says wins."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.errors import ConfigurationError
from gateway.ihe._client import Call
from gateway.ihe._transport import session
from gateway.ihe.directory import from_file, with_directory
from gateway.sandbox.stub_community import Reply, serve, write
from tests.federation_parts import OSAKA, STUB, TOKYO, peer, settings

CALL = Call(session(1))


def test_a_file_adds_and_never_replaces(tmp_path: Path) -> None:
    rows = f'[[peers]]\nid = "{OSAKA}"\nname = "file"\n[[peers]]\nid = "{STUB}"\n[[peers]]\nid = "{TOKYO}"\n'
    (tmp_path / "communities.toml").write_text(rows, "utf-8")
    given = settings(tmp_path, peer(OSAKA, "http://127.0.0.1:1", "toml"), federation={"directory": "communities.toml"})
    found = with_directory(given, CALL).peers
    assert [(one.id, one.name) for one in found] == [(OSAKA, "toml"), (STUB, "")], "and not ourselves"


@pytest.mark.parametrize(
    "text",
    ["[[peers]]\n", '[[peers]]\nid = "x"\n', "[peer]\n", "peers = [", '[[peers]]\nid = "urn:oid:1.2"\nxcq = "x"\n'],
)
def test_a_file_that_cannot_be_used_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError):
        from_file(tmp_path / "c.toml")
    with pytest.raises(ConfigurationError):
        from_file(tmp_path / "none.toml")


def endpoint(kind: str, address: str, owner: str = "o1") -> dict[str, Any]:
    return {"resource": {"resourceType": "Endpoint", "id": f"{owner}-{kind}", "status": "active", "address": address,
                         "connectionType": {"code": kind}, "managingOrganization": {"reference": f"Organization/{owner}"}},
            "search": {"mode": "match"}}  # fmt: skip


def test_a_fhir_directory(tmp_path: Path) -> None:
    def organization(id_: str, home: str) -> dict[str, Any]:
        body = {"resourceType": "Organization", "id": id_, "name": id_, "identifier": [{"value": home}]}
        return {"resource": body, "search": {"mode": "include"}}

    entries = [
        endpoint("ihe-xcpd", "https://a.example/xcpd"), endpoint("ihe-xca", "https://a.example/xca"),
        endpoint("hl7-fhir-rest", "https://a.example/fhir"), endpoint("ihe-xdr", "https://a.example/xdr"),
        endpoint("ihe-xca", "file:///etc/passwd", "o2"), endpoint("ihe-xca", "https://c.example", "o3"),
        organization("o1", STUB), organization("o2", OSAKA), organization("o3", "not an oid"),
    ]  # fmt: skip
    asked: list[str] = []

    def server(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(handler.path)
        write(handler, Reply(200, "application/fhir+json", orjson.dumps({"resourceType": "Bundle", "entry": entries})))

    with serve(server) as url:
        (found,) = with_directory(settings(tmp_path, federation={"mcsd": f"{url}/fhir"}), CALL).peers
    assert (found.id, found.name, found.xcpd, found.xca, found.fhir) == (
        STUB, "o1", "https://a.example/xcpd", "https://a.example/xca", "https://a.example/fhir",
    )  # fmt: skip
    assert asked[0].startswith("/fhir/Endpoint?status=active&_include=Endpoint:organization")


def test_a_directory_that_is_away_stops_nobody(tmp_path: Path) -> None:
    given = settings(tmp_path, peer(OSAKA, "http://127.0.0.1:1"), federation={"mcsd": "http://127.0.0.1:1/fhir"})
    assert [one.id for one in with_directory(given, CALL).peers] == [OSAKA]
