"""Inpatient stays (入院): the Encounters that a patient's ADT events add up to. Pure, and independent of order.

There is no visit number in SS-MIX2, so events join by patient and time: an admission opens a stay, and a discharge
closes the latest admission that is not after it and not yet closed. A discharge without an admission is a stay of
unknown beginning until its admission arrives.
"""

from collections.abc import Sequence
from typing import Any

from gateway.model.outcome import StayEvent
from gateway.translate import times
from gateway.translate.assembling import merge
from gateway.translate.ids import resource_id
from gateway.translate.people import resource

ADMISSION, DISCHARGE = "ADT-22", "ADT-52"


def project(events: Sequence[StayEvent]) -> list[dict[str, Any]]:
    """Encounters of one patient with the Provenance of each event, complete with ids."""
    ordered = sorted(events, key=_order)
    admissions = [event for event in ordered if event.data_type == ADMISSION]
    stays = [[event] for event in _one_a_time(admissions)]
    for event in _one_a_time([event for event in ordered if event.data_type != ADMISSION]):
        stay = _open_before(stays, event)
        if stay is None:
            stays.append([event])
        else:
            stay.append(event)
    made: list[dict[str, Any]] = []
    becomes: dict[tuple[str, str], str] = {}
    for stay in stays:
        encounter = _encounter(stay)
        made.append(encounter)
        becomes |= {(event.data_type, _when(event)): encounter["id"] for event in stay}
    for event in ordered:
        if event.provenance:
            # Two messages of one event (a resend under another key) tell of the same Encounter.
            target = {"reference": f"Encounter/{becomes[event.data_type, _when(event)]}"}
            others = event.provenance.get("target", [])
            made.append(event.provenance | {"target": [target, *others]})
    return made


def _when(event: StayEvent) -> str:
    return times.utc_range(event.occurred_at)[0] if event.occurred_at else f"?{event.source}"


def _order(event: StayEvent) -> tuple[str, str, str, str]:
    return (_when(event), event.data_type, event.source_time, event.source)


def _one_a_time(events: list[StayEvent]) -> list[StayEvent]:
    """Two messages of one event at one time: the newest version speaks."""
    latest: dict[tuple[str, str], StayEvent] = {}
    for event in events:
        key = (event.data_type, _when(event))
        if key not in latest or (latest[key].source_time, latest[key].source) < (event.source_time, event.source):
            latest[key] = event
    return list(latest.values())


def _open_before(stays: list[list[StayEvent]], event: StayEvent) -> list[StayEvent] | None:
    """The latest uncancelled admission at or before the event that no discharge has closed."""
    if not event.occurred_at:
        return None
    candidates = [
        stay
        for stay in stays
        if stay[0].data_type == ADMISSION
        and stay[0].occurred_at
        and not stay[0].cancelled
        and all(other.cancelled for other in stay[1:])  # a discharge that was taken back closes nothing
        and _when(stay[0]) <= times.utc_range(event.occurred_at)[1]
    ]
    return max(candidates, key=lambda stay: _when(stay[0]), default=None)


def _encounter(stay: list[StayEvent]) -> dict[str, Any]:
    first = stay[0]
    encounter = resource("Encounter", _id(first), "JP_Encounter")
    encounter["status"] = _status(stay)
    for event in stay:
        if not (event.cancelled and event is not first):
            _add(encounter, event.fragment)
    if "class" not in encounter:
        encounter["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
    encounter["subject"] = {"reference": f"Patient/{first.patient}"}
    return encounter


def _id(event: StayEvent) -> str:
    # The patient's logical id already holds the facility; the time is compared in UTC.
    return resource_id("", "Encounter", event.patient, "stay", event.data_type, _when(event))


def _status(stay: list[StayEvent]) -> str:
    if stay[0].cancelled:
        return "cancelled" if stay[0].data_type == ADMISSION else "in-progress"
    return "finished" if any(e.data_type == DISCHARGE and not e.cancelled for e in stay) else "in-progress"


def _add(encounter: dict[str, Any], fragment: dict[str, Any]) -> None:
    """Adds what an event says; the same doctor or place said twice stands once."""
    fresh: dict[str, Any] = {}
    for key, value in fragment.items():
        if isinstance(value, list):
            missing = [item for item in value if item not in encounter.get(key, ())]
            if missing:
                fresh[key] = missing
        elif isinstance(value, dict):
            fresh[key] = dict(value)
        else:
            fresh[key] = value
    for key, value in fresh.items():
        if isinstance(value, list):
            encounter[key] = [*encounter.get(key, ()), *value]
        else:
            merge(encounter, {key: value})
