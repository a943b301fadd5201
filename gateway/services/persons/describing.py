"""What storage calls inside its transaction to keep the person index: a Patient -> terms, features, blocking keys."""

import hashlib
from functools import partial
from typing import Literal

from gateway.codec import fhir
from gateway.model.identity import PatientId
from gateway.model.person import Comparison
from gateway.ports import Described, Describing
from gateway.services.matching import Features, Matching
from gateway.services.persons.patients import demographics_of
from gateway.services.persons.terms import terms

Mode = Literal["auto", "review", "off"]


def describing(matching: Matching | None, mode: Mode) -> Describing:
    """`auto`: pairs that matching is sure of are linked; `review`: they all go to people; `off`: nobody is compared."""
    if matching is None or mode == "off":
        return Describing(partial(_describe, None))
    return Describing(
        partial(_describe, matching), partial(_compare, matching), matching.version, automatic=mode == "auto"
    )


def key_number(key: str) -> int:
    """63 bits of a blocking key: what the index holds is a quarter of the text, and no name."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


def _describe(matching: Matching | None, body: bytes, ids: tuple[PatientId, ...]) -> Described:
    patient = fhir.parse(body)
    known = demographics_of(patient)
    features, keys = b"", tuple[int, ...]()
    if matching is not None:
        made = matching.features(known, ids)
        features, keys = made.to_json(), tuple(sorted({key_number(key) for key in matching.keys(made)}))
    return Described(known.birth_date, known.sex, patient.get("active") is not False, terms(known), features, keys)


def _compare(matching: Matching, one: bytes, other: bytes) -> Comparison:
    return matching.compare(Features.from_json(one), Features.from_json(other))
