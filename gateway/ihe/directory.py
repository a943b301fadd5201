"""Who the other communities are, beside those of musubi.toml: a file, or a FHIR directory (IHE mCSD, ITI-90).

The directory names endpoints; which of them we open a connection to is the operator's word: with `mcsd` set, every
endpoint it lists is asked. What stands in musubi.toml wins over the directory.
"""

import logging
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import ConfigurationError, GatewayError
from gateway.ihe import _fhir_client
from gateway.ihe._client import Call
from gateway.settings import Peer, Settings

MAX_ENDPOINTS: Final = 1_000
_PATIENCE_S: Final = 10.0
_KINDS: Final = {"ihe-xcpd": "xcpd", "ihe-xca": "xca", "hl7-fhir-rest": "fhir", "ihe-mhd": "fhir"}
"""Endpoint.connectionType (http://terminology.hl7.org/CodeSystem/endpoint-connection-type) -> our face."""
_LOG = logging.getLogger("gateway.ihe.directory")


def with_directory(settings: Settings, call: Call) -> Settings:
    """The settings with the peers of `[federation] directory` and `mcsd`. Raises ConfigurationError for a file that
    cannot be read; a directory that does not answer is a warning, and the peers of the file stand."""
    peers = {one.id: one for one in settings.peers}
    federation = settings.federation
    if federation.directory:
        for one in from_file(settings.directory / federation.directory):
            peers.setdefault(one.id, one)
    if federation.mcsd:
        try:
            found = from_mcsd(federation.mcsd.rstrip("/"), call)
        except (GatewayError, TimeoutError) as error:
            _LOG.warning("the directory of communities does not answer: %s", type(error).__name__)
            found = ()
        for one in found:
            peers.setdefault(one.id, one)
    peers.pop(settings.community.id, None)
    return settings.model_copy(update={"peers": tuple(peers.values())})


def from_file(path: Path) -> tuple[Peer, ...]:
    """`[[peers]]` of a TOML file."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"[federation] directory: {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if unknown := set(rows) - {"peers"}:
        raise ConfigurationError(f"{path}: unknown key {min(unknown)!r} (a directory holds [[peers]])")
    try:
        return tuple(Peer.model_validate(row) for row in rows.get("peers", []))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"{path}: peers.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def from_mcsd(base: str, call: Call) -> tuple[Peer, ...]:
    """Active Endpoints with their organisations (ITI-90). Organization.identifier `urn:oid:...` is the
    homeCommunityId. Raises as `_fhir_client.search`."""
    asked = [("status", "active"), ("_include", "Endpoint:organization"), ("_count", "200")]
    entries = list(_fhir_client.search(base, "Endpoint", asked, call, _PATIENCE_S, MAX_ENDPOINTS))
    organizations = {
        str(one.resource.get("id")): one.resource
        for one in entries
        if one.resource.get("resourceType") == "Organization"
    }
    rows: dict[str, dict[str, Any]] = {}
    for one in entries:
        if one.resource.get("resourceType") != "Endpoint":
            continue
        owner = organizations.get(
            str(_dict(one.resource.get("managingOrganization")).get("reference", "")).rpartition("/")[2]
        )
        home, face = _home(owner), _KINDS.get(str(_dict(one.resource.get("connectionType")).get("code", "")))
        address = one.resource.get("address")
        if not home or face is None or not isinstance(address, str) or not address.startswith(("http://", "https://")):
            continue
        row = rows.setdefault(home, {"id": home, "name": str(_dict(owner).get("name", ""))})
        row.setdefault(face, address)
    found = []
    for row in rows.values():
        try:
            found.append(Peer.model_validate(row))
        except ValidationError:
            _LOG.warning("an organisation of the directory has no usable homeCommunityId")
    return tuple(found)


def _home(organization: dict[str, Any] | None) -> str:
    for one in (organization or {}).get("identifier") or ():
        value = str(_dict(one).get("value", ""))
        if value.startswith("urn:oid:"):
            return value
    return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
