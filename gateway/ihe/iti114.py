"""ITI-114 Resource SubscriptionTopic Search (IHE DSUBm 1.0, 2:3.114). R4 has no SubscriptionTopic: a topic is a Basic whose
extensions are the elements of the R5 resource."""

from functools import partial
from typing import Final

from gateway.codec import fhir
from gateway.errors import UnknownResource
from gateway.fhir.messages import FhirRequest, FhirResponse, check_acceptable, json_answer
from gateway.fhir.transactions import QUERY, Attached, Trace
from gateway.ihe import _mhd
from gateway.ihe._dsubm import TOPICS, DsubmServices, Topic
from gateway.model.caller import Caller, Scope
from gateway.translate.document_reference import Json

NUMBER: Final = "ITI-114"
TYPE: Final = "Basic"
CODE: Final = "SubscriptionTopic"
_R5: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
_R4B: Final = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
_DEFINITION: Final = "http://hl7.org/fhir/StructureDefinition/"
_PARAMETERS: Final = ("code", "resource", "derived-or-self", "status", "url")


def search(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    query = _mhd.read(request, TYPE, _PARAMETERS, trace)
    found = [one for one in TOPICS.values() if _fits(query, one)]
    matches = [] if query.total_only else [shown(one) for one in found[: query.page]]
    return _mhd.answer(request, TYPE, query, services.mhd, caller, total=len(found), matches=matches)


def read(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    check_acceptable(request)
    id_ = request.path.strip("/").split("/")[1]
    found = next((one for one in TOPICS.values() if one.id == id_), None)
    if found is None:
        raise UnknownResource("no such topic here")
    trace.object = f"{TYPE}/{found.id}"
    return json_answer(200, fhir.render(shown(found)))


def _fits(query: _mhd.Query, one: Topic) -> bool:
    held = {
        "_id": (one.id,),
        "code": (CODE,),
        "resource": (one.resource, _DEFINITION + one.resource),
        "derived-or-self": (one.url,),
        "status": ("active",),
        "url": (one.url,),
    }
    return all(
        any(_mhd.plain(text).rpartition("|")[2] in values for text in wanted)
        for name, values in held.items()
        for wanted in query.all(name)
    )


def shown(one: Topic) -> Json:
    trigger = [{"url": "description", "valueMarkdown": one.title}, {"url": "resource", "valueUri": _DEFINITION + one.resource}]  # fmt: skip
    trigger += [{"url": "supportedInteraction", "valueCode": word} for word in one.interactions]
    extensions: list[Json] = [
        {"url": f"{_R5}url", "valueUri": one.url},
        {"url": f"{_R5}title", "valueString": one.title},
        {"url": f"{_R4B}resourceTrigger", "extension": trigger},
    ]
    extensions += [
        {
            "url": f"{_R4B}canFilterBy",
            "extension": [
                {"url": "resource", "valueUri": one.resource},
                {"url": "filterParameter", "valueString": name},
            ],
        }
        for name in one.filters
    ]
    extensions.append({"url": f"{_R4B}notificationShape", "extension": [{"url": "resource", "valueUri": one.resource}]})
    return {
        "resourceType": TYPE,
        "id": one.id,
        "extension": extensions,
        "modifierExtension": [{"url": f"{_R5}status", "valueCode": "active"}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": CODE}]},
    }


def transactions(services: DsubmServices) -> tuple[Attached, ...]:
    event = (QUERY, "E")
    return (
        Attached(NUMBER, event, partial(_mhd.is_search, TYPE), partial(search, services), {TYPE: _CAPABILITY}),
        Attached(NUMBER, event, partial(_mhd.is_read, TYPE), partial(read, services)),
    )


_CAPABILITY: Final = {
    "documentation": "Topics of DSUBm: code is SubscriptionTopic",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "searchParam": [
        {"name": name, "type": kind}
        for name, kind in (
            ("_id", "token"), ("code", "token"), ("resource", "uri"), ("derived-or-self", "uri"), ("status", "token"),
            ("url", "uri"),
        )
    ],
}  # fmt: skip
