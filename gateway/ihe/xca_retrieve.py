"""ITI-43 at the initiating gateway (ITI TF-2: 3.43, 3.39): each document asked of the community it is in, and all that
came given back in one package, streamed."""

from functools import partial
from typing import NamedTuple

from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.ebxml import XDS, DocumentResponse, RegistryError
from gateway.codec.mtom import OutPart
from gateway.errors import GatewayError, MissingHomeCommunity, UnknownCommunity
from gateway.ihe import iti39, iti43
from gateway.ihe._gateway import (
    GatewayServices,
    GatewayTransaction,
    Joined,
    disbelieved,
    located,
    silent,
    status,
)
from gateway.ihe._soap import Audited, Payload, repository_error
from gateway.ihe.communities import Asked
from gateway.model.caller import Caller, Scope
from gateway.services.documents import Wanted, same_community
from gateway.services.federation.fanout import Task, ask_all


class Place(NamedTuple):
    """Where a document is; satisfies iti39.Located."""

    homeCommunityId: str
    repositoryUniqueId: str
    uniqueId: str
    hash: str = ""


class Fetched(NamedTuple):
    home: str
    repository: str
    unique: str
    mime: str
    part: OutPart


def ask(envelope: soap.Envelope, services: GatewayServices, caller: Caller, scope: Scope) -> Joined:
    assert envelope.body is not None
    wanted = tuple(dict.fromkeys(iti43.parse(envelope.body)))
    errors: list[RegistryError] = []
    ours: list[Wanted] = []
    theirs: dict[str, tuple[Asked, list[Place]]] = {}
    for one in wanted:
        try:
            _sort(one, services, ours, theirs)
        except GatewayError as error:
            errors.append(_named(error, one))
    documents: list[Fetched] = []
    if ours:
        result = iti43.TRANSACTION.handle(tuple(ours), services.documents, caller, scope)
        errors += located(result.errors, services.documents.home)
        for held in result.found:
            entry = held.entry
            part = OutPart("", entry.mimeType, held.chunks())
            documents.append(
                Fetched(services.documents.home, entry.repositoryUniqueId, entry.uniqueId, entry.mimeType, part)
            )
    answered = bool(ours)
    if theirs:
        fetched, failures, anybody = _peers(list(theirs.values()), services, caller)
        documents += sorted(fetched, key=lambda one: (one.home, one.unique))
        errors += failures
        answered = answered or anybody
    return _joined(documents, tuple(errors), answered)


def _sort(
    one: Wanted, services: GatewayServices, ours: list[Wanted], theirs: dict[str, tuple[Asked, list[Place]]]
) -> None:
    if not one.homeCommunityId:
        raise MissingHomeCommunity("homeCommunityId is missing")
    if same_community(one.homeCommunityId, services.documents.home):
        ours.append(one)
        return
    asked = services.communities.peer(one.homeCommunityId)
    if asked is None or not asked.peer.xca:
        raise UnknownCommunity("no community of this homeCommunityId is known here")
    home = f"urn:oid:{one.homeCommunityId.removeprefix('urn:oid:')}"
    theirs.setdefault(asked.peer.home, (asked, []))[1].append(Place(home, one.repositoryUniqueId, one.documentUniqueId))


def _named(error: GatewayError, one: Wanted) -> RegistryError:
    named = repository_error(error)
    return named._replace(
        context=f"{named.context} (DocumentUniqueId {one.documentUniqueId[:128]})", location=one.homeCommunityId
    )


def _peers(
    wanted: list[tuple[Asked, list[Place]]], services: GatewayServices, caller: Caller
) -> tuple[list[Fetched], list[RegistryError], bool]:
    until = services.clock.monotonic() + services.communities.federation.deadline_s
    call = services.communities.call.by(caller)

    def work(one: Asked, places: list[Place], left_s: float) -> iti39.Answer[Place]:
        return iti39.retrieve(one.peer, places, call, left_s)

    documents: list[Fetched] = []
    errors: list[RegistryError] = []
    answered = False
    tasks = [Task(one.channel, partial(work, one, places)) for one, places in wanted]
    for reply in ask_all(tasks, until, services.clock):
        one, _ = wanted[reply.place]
        home = one.peer.home
        if reply.value is None:
            assert reply.error is not None
            errors.append(silent(home, one.peer.name, reply.error))
            continue
        answered = True
        found = reply.value
        errors += located(found.errors, home)
        if alarms := disbelieved(home, found.findings):
            one.channel.alarm(tuple(error.context for error in alarms))
            errors += [error._replace(code="XDSRepositoryError") for error in alarms]
        for document in found.documents:
            place = document.entry
            part = OutPart("", document.mimeType, document.part.chunks())
            documents.append(
                Fetched(place.homeCommunityId, place.repositoryUniqueId, place.uniqueId, document.mimeType, part)
            )
    return documents, errors, answered


def _joined(documents: list[Fetched], errors: tuple[RegistryError, ...], answered: bool) -> Joined:
    responses: list[DocumentResponse] = []
    parts: list[OutPart] = []
    for number, one in enumerate(documents, start=1):
        cid = f"document-{number}@musubi"
        responses.append(DocumentResponse(one.home, one.repository, one.unique, one.mime, cid))
        parts.append(one.part._replace(content_id=cid))
    # Of documents those count that came: a community that answered with nothing but errors gave none.
    body = ebxml.retrieve_response(status(errors, bool(documents)), errors, responses)
    return Joined(Payload(body, tuple(parts)), errors, answered, len(documents))


def refuse(error: RegistryError) -> Payload:
    named = error._replace(code=error.code.replace("XDSRegistry", "XDSRepository"))
    return Payload(ebxml.retrieve_response(ebxml.FAILURE, (named,), ()))


def about(body: etree._Element) -> Audited:
    try:
        return iti43.audit(iti43.parse(body))
    except GatewayError:
        return Audited()


TRANSACTION = GatewayTransaction(
    number="ITI-43",
    section="ITI TF-2: 3.43, 3.39",
    name="Retrieve Document Set from all communities",
    action=iti43.TRANSACTION.action,
    elements=(f"{{{XDS}}}RetrieveDocumentSetRequest", f"{{{XDS}}}RetrieveDocumentSetResponse"),
    mtom=True,
    event=("110106", "R"),
    ask=ask,
    refuse=refuse,
    about=about,
)
