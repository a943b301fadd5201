"""ITI-47 Patient Demographics Query HL7 V3 (ITI TF-2: 3.47), with continuation and cancel.

A hit meets everything that was asked for, so its degree of match is 100 unless the index gave a score of its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from lxml import etree

from gateway.codec import hl7v3
from gateway.codec.hl7v3 import II, Detail
from gateway.errors import GatewayError, InvalidParameter, MissingParameter, UnknownAuthority
from gateway.ihe._v3 import (
    ACK,
    Answered,
    Asked,
    Continuation,
    V3Services,
    V3Transaction,
    accept,
    action_of,
    details_of,
    domain_details,
    element,
    head,
    refuse_feed,
    refuse_query,
    written,
)
from gateway.model.caller import Scope
from gateway.model.person import PersonPage, PersonQuery, PersonRecord
from gateway.translate import person_query_v3, person_v3
from gateway.translate.person_query_v3 import BadParameter, Criteria

QUERY: Final = "PRPA_IN201305UV02"
RESPONSE: Final = "PRPA_IN201306UV02"
CONTINUE: Final = "QUQI_IN000003UV01"
TRIGGER: Final = "PRPA_TE201306UV02"
_QUERY_PATH: Final = "controlActProcess/queryByParameter"
_CONTINUATION: Final = "controlActProcess/queryContinuation"
_MAX_ECHO: Final = 64 * 1024
"""Characters of a question that are kept to be echoed with its later parts."""


class UnknownQueryId(InvalidParameter):
    """No question with this queryId waits to be continued."""


# -- question ----------------------------------------------------------------------------------------------------


def answer(asked: Asked, services: V3Services) -> Answered:
    query = hl7v3.find(asked.body, _QUERY_PATH)
    criteria = person_query_v3.criteria(hl7v3.find(query, "parameterList"))
    if not criteria.care_provider and all(replace(one, domains=()) == PersonQuery() for one in criteria.queries):
        raise MissingParameter("no parameter says whom to look for")
    page = hl7v3.quantity(query, "initialQuantity") or 0
    state = Continuation(
        criteria,
        min(page or services.max_results, services.max_results),
        0,
        person_query_v3.minimum_degree(query),
        hl7v3.verbatim(query),
    )
    return _page(asked, state, hl7v3.ii_of(hl7v3.find(query, "queryId")), services)


def _page(asked: Asked, state: Continuation, query_id: II, services: V3Services) -> Answered:
    found = search(state, services, asked.scope)
    current = len(found.records)
    remaining = max(0, found.total - state.offset - current)
    if query_id.root and (remaining or state.offset):
        kept = state._replace(offset=state.offset + current)
        if len(kept.echo) > _MAX_ECHO:
            kept = kept._replace(echo="")
        services.continuations.put(_key(asked, query_id), kept)
    details = []
    if state.criteria.care_provider:
        details = [Detail("0", "no record here names a principal care provider", severity="W")]
    body = hl7v3.message(
        head(asked, RESPONSE, services),
        hl7v3.acknowledgement("AA", asked.wrapper.id, details),
        hl7v3.control_act(
            TRIGGER,
            *(subject(record, state.criteria.queries[0].domains, services) for record in found.records),
            hl7v3.query_ack(query_id, "OK" if current else "NF", (found.total, current, remaining)),
            state.echo,
        ),
    )
    return Answered(body, object=query_id.extension or query_id.root, detail=f"{current} found")


def search(state: Continuation, services: V3Services, scope: Scope) -> PersonPage:
    """One page. Paging is the index's where it can be; joined or filtered answers are cut here."""
    criteria: Criteria = state.criteria
    if criteria.care_provider:
        return PersonPage((), 0)
    if len(criteria.queries) == 1 and not criteria.also and not state.minimum:
        query = replace(criteria.queries[0], limit=state.page, offset=state.offset)
        return _found(query, services, scope)
    joined: dict[object, PersonRecord] = {}
    for query in criteria.queries:
        for record in _found(query, services, scope).records:
            joined.setdefault(record.id, record)
    kept = [
        record
        for record in joined.values()
        if degree(record) >= (state.minimum or 0)
        and all(any_of & {record.id, *record.other_ids} for any_of in criteria.also)
    ]
    return PersonPage(tuple(kept[state.offset : state.offset + state.page]), len(kept))


def _found(query: PersonQuery, services: V3Services, scope: Scope) -> PersonPage:
    """An id of an authority that nobody knows here is nobody's, as in ITI-21 and ITI-55: that is no error, as an unknown
    domain that is wanted back is."""
    known = {one.oid for one in services.persons.domains()}
    ids = tuple(one for one in query.ids if one.authority in known)
    if query.ids and not ids and known.issuperset(query.domains):
        return PersonPage((), 0)
    return services.persons.search(replace(query, ids=ids or query.ids), scope)


def degree(record: PersonRecord) -> int:
    """0 to 100."""
    return 100 if record.score is None else max(0, min(100, round(record.score * Decimal(100))))


def subject(record: PersonRecord, domains: Sequence[str], services: V3Services) -> str:
    """One registration event: the record's own id, and the person's other ids in the asked domains (all when none was
    asked for); a domain in which the person has none is named with a nullFlavor."""
    others = [one for one in record.other_ids if one != record.id and (not domains or one.authority in domains)]
    has = {record.id.authority, *(one.authority for one in others)}
    shown = written(others, services) + tuple(II(domain) for domain in dict.fromkeys(domains) if domain not in has)
    role = person_v3.role(
        written((record.id,), services),
        person_v3.person(record.demographics, shown),
        record.active,
        degree(record),
    )
    return hl7v3.registration(role, II(services.device))


def locate(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    parameters = f"/{QUERY}/{_QUERY_PATH}/parameterList"
    if isinstance(error, BadParameter):
        place = error.location
        return (
            details_of(error, f"/{QUERY}/{_QUERY_PATH}/{place[3:]}" if place[:3] == "../" else f"{parameters}/{place}"),
        )
    if isinstance(error, MissingParameter):
        return (details_of(error, parameters),)
    if isinstance(error, UnknownAuthority):
        places = person_query_v3.scoping_places(hl7v3.find(asked.body, f"{_QUERY_PATH}/parameterList"))
        return domain_details(error, [f"{parameters}/{place}" for place in places])
    return ()


# -- continuation and cancel ---------------------------------------------------------------------------------------


def _continuation(asked: Asked) -> tuple[etree._Element | None, II]:
    found = hl7v3.find(asked.body, _CONTINUATION)
    return found, hl7v3.ii_of(hl7v3.find(found, "queryId"))


def _key(asked: Asked, query_id: II) -> tuple[str, ...]:
    """Only who asked the question may go on with it."""
    sender = asked.wrapper.sender
    return asked.caller.node, sender.root, sender.extension, query_id.root, query_id.extension


def go_on(asked: Asked, services: V3Services) -> Answered:
    """The next part, or the one from startResultNumber (1 is the first)."""
    found, query_id = _continuation(asked)
    state = services.continuations.get(_key(asked, query_id))
    if state is None:
        raise UnknownQueryId("no question with this queryId waits to be continued")
    start = hl7v3.quantity(found, "startResultNumber")
    if start is not None:
        state = state._replace(offset=max(0, start - 1))
    wanted = hl7v3.quantity(found, "continuationQuantity")
    if wanted:
        state = state._replace(page=min(wanted, services.max_results))
    return _page(asked, state, query_id, services)


def cancel(asked: Asked, services: V3Services) -> Answered:
    _, query_id = _continuation(asked)
    if not services.continuations.drop(_key(asked, query_id)):
        raise UnknownQueryId("no question with this queryId waits to be continued")
    return Answered(accept(asked, "A", services), object=query_id.extension or query_id.root, detail="cancelled")


def locate_query_id(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    if isinstance(error, UnknownQueryId):
        return (Detail("204", str(error), (f"/{asked.wrapper.name}/{_CONTINUATION}/queryId",)),)
    return ()


_ACTORS: Final = ("Patient Demographics Consumer", "Patient Demographics Supplier")

TRANSACTION = V3Transaction(
    number="ITI-47",
    section="ITI TF-2: 3.47",
    name="Patient Demographics Query HL7 V3",
    action=action_of(QUERY),
    answer_action=action_of(RESPONSE),
    actors=_ACTORS,
    path="/pdqv3",
    elements=(element(QUERY), element(RESPONSE)),
    event=("110112", "E"),
    answer=answer,
    refuse=refuse_query(RESPONSE, TRIGGER),
    locate=locate,
)
CONTINUATION = V3Transaction(
    number="ITI-47",
    section="ITI TF-2: 3.47",
    name="Patient Demographics Query HL7 V3 Continuation",
    action=action_of(f"{CONTINUE}_Continue"),
    answer_action=action_of(RESPONSE),
    actors=_ACTORS,
    path="/pdqv3",
    elements=(element(CONTINUE), element(RESPONSE)),
    event=("110112", "E"),
    answer=go_on,
    refuse=refuse_query(RESPONSE, TRIGGER),
    locate=locate_query_id,
)
CANCEL = V3Transaction(
    number="ITI-47",
    section="ITI TF-2: 3.47",
    name="Patient Demographics Query HL7 V3 Cancel",
    action=action_of(f"{CONTINUE}_Cancel"),
    answer_action=action_of(ACK),
    actors=_ACTORS,
    path="/pdqv3",
    elements=(element(f"{CONTINUE}_Cancel"), element(ACK)),
    event=("110112", "E"),
    answer=cancel,
    refuse=refuse_feed,
    locate=locate_query_id,
    also=frozenset({element(CONTINUE)}),
)
