"""Records to a FHIR audit repository (ITI-20, FHIR feed): one AuditEvent a record, known again by its identifier."""

from collections.abc import Callable, Mapping

from gateway.codec import fhir
from gateway.errors import Unavailable
from gateway.model.audit import StoredRecord
from gateway.services.audit.dicom import record_id
from gateway.services.audit.event import audit_event

Post = Callable[[bytes, Mapping[str, str]], int]
"""(body, headers) -> HTTP status. Raises OSError when nobody answers."""


class FeedSender:
    """delivery.Sender over FHIR. An answer is a receipt."""

    confirms = True

    def __init__(self, post: Post, home: str) -> None:
        self._post, self._home = post, home

    def check(self) -> None:
        """Nothing is under way between two records."""

    def send(self, stored: StoredRecord, *, again: bool) -> None:
        """Raises Unavailable for everything but success: a refused record is kept and tried again, never dropped."""
        headers = {
            "Content-Type": "application/fhir+json; charset=utf-8",
            "If-None-Exist": f"entity.what:identifier={record_id(self._home, stored.n)}",
        }
        try:
            status = self._post(fhir.render(audit_event(stored, self._home)), headers)
        except OSError:
            raise Unavailable("the audit repository does not answer") from None
        if not 200 <= status < 300:
            raise Unavailable("the audit repository does not take the record")
