"""A demographics query -> conditions on the person index (ITI-21, ITI-47, ITI-78). Pure but for ids of other domains."""

from collections.abc import Mapping

from gateway.model.caller import Scope
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, PersonName, PersonQuery
from gateway.ports import PersonConditions, PersonIndex, TermCondition
from gateway.services.identity import canonical
from gateway.services.persons.terms import postal, telecom, tight

_END = "9" * 9


def conditions(
    query: PersonQuery, index: PersonIndex, authorities: Mapping[str, Authority], scope: Scope
) -> PersonConditions | None:
    """None when nothing can fit: an asked id that nobody has."""
    ids = _own_ids(query, index, authorities, scope)
    if ids is None:
        return None
    return PersonConditions(
        ids=ids,
        patient=query.patient,
        terms=_terms(query),
        births=_births(query),
        sex=query.sex,
        active=query.active,
    )


def _own_ids(
    query: PersonQuery, index: PersonIndex, authorities: Mapping[str, Authority], scope: Scope
) -> tuple[PatientId, ...] | None:
    """Ids of records: a shared id (medical ID, enterprise id) stands for all records of its person."""
    if not query.ids:
        return ()
    found: list[PatientId] = []
    for id_ in query.ids:
        asked = canonical(id_, authorities)
        if not asked.value or index.by_id(asked, scope) is not None:
            found.append(asked)
        elif eid := index.enterprise_id(asked, scope):
            found += [row.id for row in index.members([eid], scope)]
    return tuple(found) or None


def _terms(query: PersonQuery) -> tuple[TermCondition, ...]:
    found: list[TermCondition] = []
    for kinds, values in ((("f",), query.family), (("g",), query.given), (("f", "g", "w"), query.name)):
        found += [_condition(kinds, value, tight) for value in values if value]
    for kind, value in (
        ("s", query.state),
        ("c", query.city),
        ("l", query.line),
        ("n", query.country),
        ("a", query.address),
        ("m", query.mothers_maiden_name),
    ):
        if value:
            found.append(_condition((kind,), value, tight))
    if query.postal_code:
        found.append(_condition(("p",), query.postal_code, postal))
    found += [TermCondition((kind,), (one,)) for kind, one in (("k", query.account), ("q", query.mothers_id)) if one]
    if query.telecom:
        found.append(_condition(("t",), query.telecom, telecom))
    return tuple(found)


def _condition(kinds: tuple[str, ...], value: str, fold: object) -> TermCondition:
    prefix = value.endswith("*")
    assert callable(fold)
    return TermCondition(kinds, (fold(value.rstrip("*")),), prefix)


def _births(query: PersonQuery) -> tuple[str, str]:
    """From (included), up to (excluded), as digits. A shorter date is a prefix."""
    if query.birth_date:
        # 1984 is before 198401, and ":" is the character after "9".
        return query.birth_date, query.birth_date + ":"
    first, last = query.birth_range
    return first, last + ":" if last else ""


def fits_exactly(query: PersonQuery, known: Demographics) -> bool:
    """Names as they are written."""
    families = {name.family for name in known.names}
    givens = {word for name in known.names for word in (name.given, *name.given.split())}
    anything = families | givens | {name.text for name in known.names}
    maiden = _maiden(known.mothers_maiden_name)
    for wanted, have in (
        (query.family, families),
        (query.given, givens),
        (query.name, anything),
        ((query.mothers_maiden_name,) if query.mothers_maiden_name else (), maiden),
    ):
        for value in wanted:
            start = value[:-1] if value.endswith("*") else None
            if start is None and value not in have:
                return False
            if start is not None and not any(one.startswith(start) for one in have):
                return False
    return True


def _maiden(name: PersonName | None) -> set[str]:
    return {name.family, name.given, name.text} if name else set()
