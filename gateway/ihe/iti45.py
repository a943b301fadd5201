"""ITI-45 PIXV3 Query (ITI TF-2: 3.45): the other ids of a person."""

from typing import Final

from gateway.codec import hl7v3
from gateway.codec.hl7v3 import II, Detail
from gateway.errors import GatewayError, MissingParameter, UnknownAuthority, UnknownPatient
from gateway.ihe._v3 import (
    Answered,
    Asked,
    V3Services,
    V3Transaction,
    action_of,
    details_of,
    domain_details,
    element,
    head,
    refuse_query,
    written,
)
from gateway.model.identity import PatientId
from gateway.translate import person_v3

QUERY: Final = "PRPA_IN201309UV02"
RESPONSE: Final = "PRPA_IN201310UV02"
TRIGGER: Final = "PRPA_TE201310UV02"
_PARAMETERS: Final = "controlActProcess/queryByParameter/parameterList"


def asked_id(asked: Asked) -> PatientId:
    """The one id that is asked for; parts that are missing are empty. Raises MissingParameter."""
    values = hl7v3.find_all(asked.body, f"{_PARAMETERS}/patientIdentifier/value")
    if len(values) != 1:
        raise MissingParameter("a question is about one patientIdentifier")
    return person_v3.patient_id(hl7v3.ii_of(values[0]))


def sources(asked: Asked) -> tuple[tuple[str, ...], list[str]]:
    """(OIDs of the asked domains, their XPaths); none: all domains."""
    roots, places = [], []
    for number, source in enumerate(hl7v3.find_all(asked.body, f"{_PARAMETERS}/dataSource"), 1):
        values = hl7v3.find_all(source, "value")
        for n, value in enumerate(values, 1):
            roots.append(hl7v3.ii_of(value).root)
            position = f"[{n}]" if len(values) > 1 else ""
            places.append(f"/{QUERY}/{_PARAMETERS}/dataSource[{number}]/value{position}")
    return tuple(roots), places


def answer(asked: Asked, services: V3Services) -> Answered:
    patient, (domains, _) = asked_id(asked), sources(asked)
    if not patient.authority:
        raise UnknownAuthority("the id has no assigning authority")
    if not patient.value:
        raise UnknownPatient("the id has no value")
    found = services.persons.cross_reference(patient, domains, asked.scope)
    query = hl7v3.find(asked.wrapper.control, "queryByParameter")
    query_id = hl7v3.ii_of(hl7v3.find(query, "queryId"))
    subject = ""
    if found:
        role = person_v3.role(written(found, services), person_v3.NAMELESS)
        subject = hl7v3.registration(role, II(services.device))
    body = hl7v3.message(
        head(asked, RESPONSE, services),
        hl7v3.acknowledgement("AA", asked.wrapper.id),
        hl7v3.control_act(TRIGGER, subject, hl7v3.query_ack(query_id, "OK" if found else "NF"), hl7v3.verbatim(query)),
    )
    return Answered(body, patient=str(patient), object=query_id.extension, detail=f"{len(found)} found")


def _about(asked: Asked) -> str:
    """CX of the one id asked for; empty when there is none."""
    values = hl7v3.find_all(asked.body, f"{_PARAMETERS}/patientIdentifier/value")
    return str(person_v3.patient_id(hl7v3.ii_of(values[0]))) if len(values) == 1 else ""


def locate(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    """Cases 3 to 5 (ITI TF-2: 3.45.4.2.3)."""
    place = f"/{QUERY}/{_PARAMETERS}/patientIdentifier"
    if isinstance(error, MissingParameter):
        return (details_of(error, place),)
    if isinstance(error, UnknownAuthority):
        return domain_details(error, sources(asked)[1]) or (details_of(error, f"{place}/value/@root"),)
    if isinstance(error, UnknownPatient):
        return (details_of(error, f"{place}/value/@extension"),)
    return ()


TRANSACTION = V3Transaction(
    number="ITI-45",
    section="ITI TF-2: 3.45",
    name="PIXV3 Query",
    action=action_of(QUERY),
    answer_action=action_of(RESPONSE),
    actors=("Patient Identifier Cross-reference Consumer", "Patient Identifier Cross-reference Manager"),
    path="/pixv3",
    elements=(element(QUERY), element(RESPONSE)),
    event=("110112", "E"),
    answer=answer,
    refuse=refuse_query(RESPONSE, TRIGGER, _about),
    locate=locate,
)
