"""ITI-80 Cross Gateway Document Provide (ITI TF-2: 3.80): a submission sent on to the community it is meant for.

The initiating side: `provide`. The body is that of ITI-41 and goes out as it came; the target stands in the slot
homeCommunityId of its SubmissionSet. The responding side is the registry's own ITI-41 under this action.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml
from gateway.codec.ebxml import RIM, RS, XDS, RegistryError
from gateway.codec.mtom import OutPart
from gateway.errors import BadInput, MissingHomeCommunity
from gateway.ihe._client import Call, Finding, Peer, same_relation

ACTION: Final = "urn:ihe:iti:2015:CrossGatewayDocumentProvide"
_SLOT: Final = "homeCommunityId"


class Provided(NamedTuple):
    status: str
    errors: tuple[RegistryError, ...]
    findings: tuple[Finding, ...]


def target(body: etree._Element) -> str:
    """homeCommunityId of the community a submission is meant for. Raises BadInput, MissingHomeCommunity."""
    if body.tag != f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest":
        raise BadInput("the body is not xds:ProvideAndRegisterDocumentSetRequest")
    for slot in body.iterfind(f".//{{{RIM}}}RegistryPackage/{{{RIM}}}Slot"):
        if str(slot.get("name", "")).strip() == _SLOT:
            for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value"):
                if value.text and value.text.strip():
                    return f"urn:oid:{value.text.strip().removeprefix('urn:oid:')}"
    raise MissingHomeCommunity("the SubmissionSet does not say which community it is meant for")


def provide(peer: Peer, body: bytes, documents: Iterable[OutPart], call: Call, deadline_s: float) -> Provided:
    """Sends one submission, once: it is no read, and is never repeated by us. `documents`: the parts its xop:Include
    name. Raises TimeoutError (it is not known then whether it arrived), Unavailable, Forbidden, BadInput."""
    received = call.send(peer.xca, ACTION, body, deadline_s=deadline_s, packed=True, parts=tuple(documents))
    if received.body.tag != f"{{{RS}}}RegistryResponse":
        raise BadInput("the answer is not rs:RegistryResponse")
    errors = tuple(
        RegistryError(
            str(one.get("errorCode", "")),
            str(one.get("codeContext", "")),
            str(one.get("severity", ebxml.ERROR)),
            str(one.get("location", "")) or peer.home,
        )
        for one in received.body.iterfind(f"{{{RS}}}RegistryErrorList/{{{RS}}}RegistryError")
    )
    return Provided(str(received.body.get("status", "")), errors, tuple(same_relation(received)))
