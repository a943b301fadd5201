"""ITI-41 at the initiating gateway (ITI TF-2: 3.41, 3.80): a submission sent on to the community its SubmissionSet names, as
it came. One for ourselves goes to our own registry; nothing is ever sent twice."""

from typing import Final

from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_submit import PROVIDE, registry_response
from gateway.codec.mtom import OutPart
from gateway.errors import GatewayError, Unavailable, UnknownCommunity
from gateway.ihe import iti41, iti80
from gateway.ihe._gateway import GatewayServices, GatewayTransaction, Joined, located, silent
from gateway.ihe._registering import RESPONSE, Asked, about_submission
from gateway.ihe._soap import SUCCESS, Audited, Payload, record_of
from gateway.ihe.communities import Asked as Community
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.services.documents import same_community
from gateway.services.federation.fanout import Task, ask_all

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
"""Of what is sent on: a package goes out as one, held in memory."""


def ask(envelope: soap.Envelope, services: GatewayServices, caller: Caller, scope: Scope) -> Joined:
    body = envelope.body
    assert body is not None
    home = iti80.target(body)
    if same_community(home, services.documents.home):
        return _own(envelope, services, caller)
    community = services.communities.peer(home)
    if community is None or not community.peer.xca:
        raise UnknownCommunity("no community of this homeCommunityId is known here")
    return _sent_on(envelope, body, community, services)


def _own(envelope: soap.Envelope, services: GatewayServices, caller: Caller) -> Joined:
    registry = services.documents.changing
    if registry is None:
        raise Unavailable("nothing can be submitted to this node")

    def record(about: Audited, detail: str) -> AuditRecord:
        return record_of(iti41.TRANSACTION, SUCCESS, caller, about, detail)

    try:
        warnings = tuple(iti41.perform(Asked(envelope, registry, services.documents, record)))
    except GatewayError as error:
        return _joined(located((iti41.TRANSACTION.refuse(error),), services.documents.home), answered=False)
    return _joined(located(warnings, services.documents.home), answered=True)


def _sent_on(envelope: soap.Envelope, body: etree._Element, community: Community, services: GatewayServices) -> Joined:
    peer = community.peer
    parts = [OutPart(cid, part.content_type, part.chunks()) for cid, part in envelope.attachments.items()]
    begun = False

    def once(left_s: float) -> iti80.Provided:
        nonlocal begun
        if begun:  # a channel repeats what broke; this is no read
            raise Unavailable("the community cannot be reached")
        begun = True
        return iti80.provide(peer, etree.tostring(body), parts, services.communities.call, left_s)

    until = services.clock.monotonic() + services.communities.federation.deadline_s
    (reply,) = ask_all([Task(community.channel, once)], until, services.clock)
    if reply.value is None:
        assert reply.error is not None
        return _joined([silent(peer.home, peer.name, reply.error)], answered=False)
    errors = located(reply.value.errors, peer.home)
    if reply.value.status != ebxml.SUCCESS and not errors:
        errors = [RegistryError("XDSRepositoryError", "the community says no and not why", location=peer.home)]
    return _joined(errors, answered=True)


def _joined(errors: list[RegistryError], *, answered: bool) -> Joined:
    named = tuple(errors)
    status = ebxml.status_of(named, any_result=False)
    return Joined(Payload(registry_response(status, named)), named, answered, 0)


def refuse(error: RegistryError) -> Payload:
    return Payload(registry_response(ebxml.FAILURE, (error,)))


TRANSACTION = GatewayTransaction(
    number="ITI-41",
    section="ITI TF-2: 3.41, 3.80",
    name="Provide and Register Document Set-b to another community",
    action=iti41.TRANSACTION.action,
    elements=(PROVIDE, RESPONSE),
    mtom=False,
    event=("110106", "R"),
    ask=ask,
    refuse=refuse,
    about=about_submission,
    actors=("Document Source", "Initiating Gateway"),
    max_document_bytes=MAX_DOCUMENT_BYTES,
)
