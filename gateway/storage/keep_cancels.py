"""Cancels of stay events (取消) that take nothing back: asked at the end of a run, when everything has come that will."""

from collections.abc import Sequence

from gateway.codec import fhir
from gateway.model.outcome import StayEvent
from gateway.ports import Derivations
from gateway.storage.engines import Driver

_EVENTS = (
    "SELECT e.body, f.key FROM stay_event e JOIN source_file f ON f.n = e.file"
    " WHERE e.patient = ? AND f.current = 1 ORDER BY f.n, e.ordinal"
)


def unmatched(driver: Driver, derive: Derivations, patients: Sequence[str]) -> int:
    """How many cancels of these patients find no event. In a storage a cancel mostly has the key of its event and is the
    next version of it: then it has taken that version back."""
    lonely: set[str] = set()
    for patient in patients:
        rows = [(StayEvent(**fhir.parse(body)), key) for body, key in driver.rows(_EVENTS, (patient,))]
        key_of = {event.source: key for event, key in rows}
        lonely |= {key_of[event.source] for event in derive.unmatched([event for event, _ in rows])}
    sql = "SELECT key, count(*) FROM source_file WHERE key IN (@) GROUP BY key"
    return sum(versions == 1 for _, versions in driver.among(sql, sorted(lonely)))
