"""ITI-80 Cross Gateway Document Provide (ITI TF-2: 3.80): a submission sent on to the community it is meant for.

The initiating side: `provide`. The body is that of ITI-41 and goes out as it came; the target stands in the slot
homeCommunityId of its SubmissionSet. The responding side is the registry's own ITI-41 under this action, for
submissions that are meant for this community.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml
from gateway.codec.ebxml import RIM, RS, XDS, RegistryError
from gateway.codec.mtom import OutPart
from gateway.errors import BadInput, MissingHomeCommunity, UnknownCommunity
from gateway.ihe import iti41
from gateway.ihe._client import Call, Finding, Peer, same_relation
from gateway.ihe._registering import Asked
from gateway.services.documents import same_community

ACTION: Final = "urn:ihe:iti:2015:CrossGatewayDocumentProvide"
_SLOT: Final = "homeCommunityId"


# -- responding gateway ------------------------------------------------------------------------------------------


def perform(asked: Asked) -> Sequence[RegistryError]:
    if not same_community(target(asked.body), asked.services.home):
        raise UnknownCommunity("the submission is meant for another community")
    return [one._replace(location=one.location or asked.services.home) for one in iti41.perform(asked)]


TRANSACTION = replace(
    iti41.TRANSACTION,
    number="ITI-80",
    section="ITI TF-2: 3.80",
    name="Cross Gateway Document Provide",
    action=ACTION,
    actors=("Initiating Gateway", "Responding Gateway"),
    path="/xca",
    perform=perform,
)


# -- initiating gateway ------------------------------------------------------------------------------------------


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
