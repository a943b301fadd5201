"""Initiating Gateway (ITI TF-1: 18): one community asked by ITI-38, then its FHIR Bundles fetched by ITI-39.

app.py hands what `ask_of` makes to services/federate.
"""

import logging
from collections.abc import Sequence
from typing import Final

from gateway.codec import ebxml, fhir
from gateway.codec.ebxml import RegistryError
from gateway.errors import BadInput, Unavailable
from gateway.ihe import iti38, iti39
from gateway.ihe._client import Call, Finding, Peer
from gateway.model.document import DocumentEntry
from gateway.services.federate import FHIR_JSON, Ask, Item, Question

MAX_DOCUMENTS: Final = 500
"""Documents fetched of one community for one question, newest first."""

_LOG = logging.getLogger("gateway.ihe.initiating")


def ask_of(peer: Peer, call: Call) -> Ask:
    """How to ask `peer`. The patient id goes out as given: which id a community understands the caller decides."""

    def ask(question: Question, left_s: float) -> Sequence[Item]:
        started = call.clock.monotonic()
        found = iti38.ask(peer, iti38.FindDocuments(question.patient), call, left_s)
        _report(peer, found.findings)
        _raise_failure(found.errors, bool(found.entries))
        wanted = _newest([entry for entry in found.entries if entry.mimeType == FHIR_JSON])
        bundles = {}
        if wanted and set(question.types) - {"document"}:
            answer = iti39.retrieve(peer, wanted, call, left_s - (call.clock.monotonic() - started))
            _report(peer, answer.findings)
            _raise_failure(answer.errors, bool(answer.documents))
            for document in answer.documents:
                if document.part.size > fhir.MAX_BYTES:
                    raise BadInput(f"a Bundle larger than {fhir.MAX_BYTES} bytes")
                bundles[document.entry.uniqueId] = fhir.parse(document.part.read())
        return [Item(entry, bundles.get(entry.uniqueId)) for entry in found.entries]

    return ask


def _newest(entries: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    return sorted(entries, key=lambda entry: (entry.creationTime, entry.uniqueId), reverse=True)[:MAX_DOCUMENTS]


def _raise_failure(errors: Sequence[RegistryError], anything: bool) -> None:
    """A community that gave nothing but errors has failed; one that gave something has answered."""
    failures = [error.code for error in errors if error.severity == ebxml.ERROR]
    if failures and not anything:
        raise Unavailable("the community answered with an error instead of documents")


def _report(peer: Peer, findings: Sequence[Finding]) -> None:
    for finding in findings:
        _LOG.warning("community %s: %s: %s", peer.home, finding.code, finding.text)
