"""What the faces remember over a restart, as text and back: questions that go on, and XCPD correlations."""

from dataclasses import asdict, fields
from typing import Any, Final

import orjson

from gateway.ihe._v3 import Continuation, Correlation
from gateway.model.identity import PatientId
from gateway.model.person import PersonQuery
from gateway.translate.person_query_v3 import Criteria

_EMPTY: Final = PersonQuery()


def _query(value: PersonQuery) -> dict[str, Any]:
    said = asdict(value)
    said["ids"] = _ids(value.ids)
    return {name: one for name, one in said.items() if one != getattr(_EMPTY, name)}


def _query_of(said: dict[str, Any]) -> PersonQuery:
    known = {field.name for field in fields(PersonQuery)}
    values: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in said.items() if name in known
    }
    values["ids"] = _ids_of(said.get("ids", ()))
    return PersonQuery(**values)


def _ids(ids: Any) -> list[tuple[str, str]]:
    return sorted((one.value, one.authority) for one in ids) if isinstance(ids, frozenset) else [
        (one.value, one.authority) for one in ids
    ]  # fmt: skip


def _ids_of(said: Any) -> tuple[PatientId, ...]:
    return tuple(PatientId(*one) for one in said)


def _continuation(value: Continuation) -> str:
    criteria: Criteria = value.criteria
    return orjson.dumps(
        {
            "queries": [_query(one) for one in criteria.queries],
            "also": [_ids(one) for one in criteria.also],
            "care_provider": criteria.care_provider,
            "page": value.page,
            "offset": value.offset,
            "minimum": value.minimum,
            "echo": value.echo,
        }
    ).decode()


def _continuation_of(text: str) -> Continuation:
    said = orjson.loads(text)
    criteria = Criteria(
        tuple(map(_query_of, said["queries"])),
        tuple(frozenset(_ids_of(one)) for one in said["also"]),
        said["care_provider"],
    )
    return Continuation(criteria, said["page"], said["offset"], said["minimum"], said["echo"])


def _correlations(value: tuple[Correlation, ...]) -> str:
    return orjson.dumps([(one.home, one.id.value, one.id.authority) for one in value]).decode()


def _correlations_of(text: str) -> tuple[Correlation, ...]:
    return tuple(Correlation(home, PatientId(*rest)) for home, *rest in orjson.loads(text))


QUERY: Final = (lambda one: orjson.dumps(_query(one)).decode(), lambda text: _query_of(orjson.loads(text)))
"""PersonQuery: a pointer of ITI-21 and 22."""
CONTINUATION: Final = (_continuation, _continuation_of)
"""ITI-47."""
CORRELATIONS: Final = (_correlations, _correlations_of)
"""ITI-55, 56."""
