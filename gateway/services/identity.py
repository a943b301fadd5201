"""The exact cross-reference (PIX without guessing): which facility ids are one person. Pure; storage keeps the result.

Two facility ids (施設の患者番号) are linked when current files of both carry the same shared id: a medical ID
(医療等ID) or an insured-person id (被保険者番号), and their birth dates and sexes do not contradict each other. A
contradiction is counted as `identity-conflict` and links nobody; a wrong link shows one patient another's results,
a missing one only leaves a gap.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

from gateway.model.identity import Authority, Facts, Linked, PatientId, PersonKey
from gateway.translate.ids import name_uuid

SHARED_KINDS = frozenset({"medical-id", "insurer"})

_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F"}
"""Other values (O, U, A, N) say nothing against anybody."""


def shared_authorities(authorities: Iterable[Authority]) -> frozenset[str]:
    """OIDs of the authorities whose ids hold across facilities."""
    return frozenset(authority.oid for authority in authorities if authority.kind in SHARED_KINDS)


def only_shared(person: PersonKey, shared: frozenset[str]) -> PersonKey:
    """The facility's own id, and of the others those that may link."""
    ids = person.ids[:1] + tuple(id_ for id_ in person.ids[1:] if id_.authority in shared and id_.value)
    return PersonKey(ids, person.birth_date, person.sex)


def enterprise_id(affinity_domain: str, cluster: Iterable[PatientId]) -> str:
    """Smallest name-based UUID of the members, so that it does not matter who was known first."""
    return min(name_uuid(affinity_domain, id_.authority, id_.value) for id_ in cluster)


def link(people: Mapping[PatientId, Facts]) -> Linked:
    """Connected components under "shares an id and does not contradict".

    A component in which two members contradict each other (a third, vaguer one ties them) is taken apart again: then
    only members with the same known birth date and sex stay linked.
    """
    holders: dict[PatientId, list[PatientId]] = {}
    for own in sorted(people, key=str):
        for shared in people[own].shared:
            holders.setdefault(shared, []).append(own)
    holders = {shared: group for shared, group in holders.items() if len(group) > 1}
    conflicts = 0
    pairs: set[tuple[PatientId, PatientId]] = set()
    for group in holders.values():
        agreeing = [pair for pair in combinations(group, 2) if not contradict(people[pair[0]], people[pair[1]])]
        conflicts += len(agreeing) < len(group) * (len(group) - 1) // 2
        pairs.update(agreeing)
    clusters: list[frozenset[PatientId]] = []
    for component in _components(people, pairs):
        if any(contradict(people[a], people[b]) for a, b in combinations(component, 2)):
            certain = {(a, b) for a, b in pairs if a in component and b in component and _same(people[a], people[b])}
            clusters += _components({own: people[own] for own in component}, certain)
        else:
            clusters.append(component)
    return Linked(tuple(clusters), conflicts)


def contradict(one: Facts, other: Facts) -> bool:
    """Both say something about birth date or sex, and nothing of it agrees. 1950 and 19500101 agree."""
    if one.birth_dates and other.birth_dates:
        births = ((_digits(a), _digits(b)) for a in one.birth_dates for b in other.birth_dates)
        if not any(a.startswith(b) or b.startswith(a) for a, b in births):
            return True
    mine, theirs = _known_sexes(one), _known_sexes(other)
    return bool(mine and theirs and not mine & theirs)


def _same(one: Facts, other: Facts) -> bool:
    """One known birth date (a whole one) and one known sex each, and they are equal."""
    births = {_digits(date) for date in one.birth_dates | other.birth_dates}
    sexes = _known_sexes(one) | _known_sexes(other)
    complete = bool(one.birth_dates and other.birth_dates and _known_sexes(one) and _known_sexes(other))
    return complete and len(births) == 1 and len(sexes) == 1 and len(next(iter(births))) == 8


def _digits(date: str) -> str:
    return date.replace("-", "")


def _known_sexes(facts: Facts) -> set[str]:
    return {_SEXES[sex.upper()] for sex in facts.sexes if sex.upper() in _SEXES}


def _components(
    people: Iterable[PatientId], pairs: Iterable[tuple[PatientId, PatientId]]
) -> list[frozenset[PatientId]]:
    """Union-find; the components in order of their smallest member."""
    parent = {own: own for own in people}

    def root(own: PatientId) -> PatientId:
        while parent[own] != own:
            parent[own] = parent[parent[own]]
            own = parent[own]
        return own

    for a, b in pairs:
        parent[root(a)] = root(b)
    found: dict[PatientId, set[PatientId]] = {}
    for own in parent:
        found.setdefault(root(own), set()).add(own)
    return sorted((frozenset(group) for group in found.values()), key=lambda group: min(map(str, group)))
