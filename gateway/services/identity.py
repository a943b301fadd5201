"""The cross-reference: which facility ids are one person. Pure; storage keeps the result.

What links, strongest first:
1. statements of sources: a merge or a change of number makes the old id stand for nobody but its survivor;
2. people: `same` and `different` of the review queue, then link and unlink messages; the newest word counts;
3. an equal shared id (医療等ID, 被保険者番号, another number in the same PID-3), while birth date and sex do not
   contradict each other. A contradiction is counted as `identity-conflict` and links nobody: a wrong link shows one
   patient another's results, a missing one only leaves a gap;
4. matching, best pair first, as long as nobody is put together with somebody he is held apart from, with a record that
   matching says is another person, or with a second record of his own domain.
Nothing here remembers what came first: the answer is a function of what is known.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gateway.model.identity import (
    Authority,
    Facts,
    Linked,
    Pair,
    PatientId,
    PersonKey,
    Statement,
    standing,
    subsumed_by,
)
from gateway.translate.ids import name_uuid

SHARED_KINDS = frozenset({"medical-id", "insurer"})
CERTAIN_RULES = frozenset({"shared-id"})
"""Rules of matching that may link two records of one domain."""

_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F"}
"""Other values (O, U, A, N) say nothing against anybody."""

_Edge = tuple[PatientId, PatientId]


def shared_authorities(authorities: Iterable[Authority]) -> frozenset[str]:
    """OIDs of the authorities whose ids hold across facilities."""
    return frozenset(authority.oid for authority in authorities if authority.kind in SHARED_KINDS)


def only_shared(
    person: PersonKey, shared: frozenset[str], authorities: Mapping[str, Authority] | None = None
) -> PersonKey:
    """The facility's own id, and of the others those that may link, in the form in which ids are compared."""
    others = (canonical(id_, authorities or {}) for id_ in person.ids[1:] if id_.authority in shared and id_.value)
    ids = person.ids[:1] + tuple(id_ for id_ in others if not of_a_family(id_, authorities or {}))
    return PersonKey(ids, person.birth_date, person.sex)


def of_a_family(id_: PatientId, authorities: Mapping[str, Authority]) -> bool:
    """An insured person's id whose branch number (枝番) is empty: the whole family has it, twins included."""
    authority = authorities.get(id_.authority)
    return authority is not None and authority.kind == "insurer" and id_.value.count(":") == 3 and id_.value[-1] == ":"


def canonical(id_: PatientId, authorities: Mapping[str, Authority]) -> PatientId:
    """The form in which ids are compared. An insured person's id (被保険者個人識別子 insurer:symbol:number:branch) is
    typed half width here and full width there, and with or without the zeros of the insurer's number."""
    authority = authorities.get(id_.authority)
    return canonical_insured(id_) if authority is not None and authority.kind == "insurer" else id_


def canonical_insured(id_: PatientId) -> PatientId:
    insurer, colon, rest = unicodedata.normalize("NFKC", id_.value).upper().strip().partition(":")
    if colon and insurer.isascii() and insurer.isdigit():
        insurer = insurer.zfill(8)
    return PatientId(insurer + colon + rest, id_.authority)


def enterprise_id(affinity_domain: str, cluster: Iterable[PatientId]) -> str:
    """Smallest name-based UUID of the members, so that it does not matter who was known first."""
    return min(name_uuid(affinity_domain, id_.authority, id_.value) for id_ in cluster)


def link(people: Mapping[PatientId, Facts], statements: Iterable[Statement] = (), pairs: Sequence[Pair] = ()) -> Linked:
    """Who of a group is one person. `statements` and `pairs` about ids outside the group are passed over."""
    said = sorted(standing(statements), key=lambda one: (one.event_time, one.hash))
    subsumed = subsumed_by(said)
    groups = _Groups(people, subsumed, _verdicts(said, pairs))
    for prior, survivor in sorted(subsumed.items(), key=str):
        groups.join(prior, survivor, always=True)
    for edge in groups.verdicts.same:
        groups.join(*edge)
    exact, conflicts = _exact(people)
    for edge in exact:
        groups.join(*edge)
    held: set[_Edge] = set()
    groups.separate(pairs)
    for pair in sorted(pairs, key=_strongest):
        guessed = pair.outcome == "link" and pair.one in people and pair.other in people
        if guessed and not groups.join_guessed(pair) and not groups.decided(pair):
            held.add((pair.one, pair.other))
    return Linked(groups.clusters(), conflicts, tuple(sorted(subsumed.items(), key=str)), frozenset(held))


def contradict(one: Facts, other: Facts) -> bool:
    """Both say something about birth date or sex, and nothing of it agrees. 1950 and 19500101 agree."""
    if one.birth_dates and other.birth_dates:
        births = ((_digits(a), _digits(b)) for a in one.birth_dates for b in other.birth_dates)
        if not any(a.startswith(b) or b.startswith(a) for a, b in births):
            return True
    mine, theirs = _known_sexes(one), _known_sexes(other)
    return bool(mine and theirs and not mine & theirs)


# --- statements and decisions ---------------------------------------------------------------------------------------


class _Verdicts(NamedTuple):
    same: tuple[_Edge, ...]
    apart: Mapping[PatientId, frozenset[PatientId]]


def _verdicts(said: Iterable[Statement], pairs: Iterable[Pair]) -> _Verdicts:
    """The last word on each pair: a person's, else the newest link or unlink."""
    last: dict[_Edge, bool] = {}
    for one in said:
        if one.kind in ("link", "unlink"):
            last[_edge(one.one, one.other)] = one.kind == "link"
    for pair in pairs:
        if pair.decision in ("same", "different"):
            last[_edge(pair.one, pair.other)] = pair.decision == "same"
    apart: dict[PatientId, set[PatientId]] = {}
    for (a, b), together in last.items():
        if not together:
            apart.setdefault(a, set()).add(b)
            apart.setdefault(b, set()).add(a)
    same = tuple(sorted((edge for edge, together in last.items() if together), key=str))
    return _Verdicts(same, {id_: frozenset(others) for id_, others in apart.items()})


def _edge(one: PatientId, other: PatientId) -> _Edge:
    return (one, other) if str(one) <= str(other) else (other, one)


def _strongest(pair: Pair) -> tuple[object, ...]:
    return (pair.rule not in CERTAIN_RULES, -pair.probability, str(pair.one), str(pair.other))


# --- clusters -------------------------------------------------------------------------------------------------------


class _Groups:
    """Union-find that refuses what must not be put together."""

    def __init__(
        self, people: Mapping[PatientId, Facts], subsumed: Mapping[PatientId, PatientId], verdicts: _Verdicts
    ) -> None:
        self._people, self._subsumed, self.verdicts = people, subsumed, verdicts
        self._members = {own: {own} for own in people}
        self._others: dict[PatientId, set[PatientId]] = {}

    def join(self, one: PatientId, other: PatientId, *, always: bool = False) -> bool:
        """False when somebody holds two of their members apart."""
        if one not in self._members or other not in self._members:
            return False
        mine, theirs = self._members[one], self._members[other]
        if mine is theirs:
            return True
        if not always and self._apart(mine, theirs):
            return False
        if len(mine) < len(theirs):
            mine, theirs = theirs, mine
        mine |= theirs
        for member in theirs:
            self._members[member] = mine
        return True

    def join_guessed(self, pair: Pair) -> bool:
        mine, theirs = self._members[pair.one], self._members[pair.other]
        if mine is theirs:
            return True
        if pair.rule not in CERTAIN_RULES:
            domains = {own.authority for own in mine if own not in self._subsumed}
            if any(own.authority in domains for own in theirs if own not in self._subsumed):
                return False
        if any(other in theirs for own in mine for other in self._others.get(own, ())):
            return False
        return self.join(pair.one, pair.other)

    def separate(self, pairs: Iterable[Pair]) -> None:
        """Records that matching says are two persons."""
        for pair in pairs:
            if pair.outcome == "separate":
                self._others.setdefault(pair.one, set()).add(pair.other)
                self._others.setdefault(pair.other, set()).add(pair.one)

    def decided(self, pair: Pair) -> bool:
        return pair.other in self.verdicts.apart.get(pair.one, ())

    def _apart(self, mine: set[PatientId], theirs: set[PatientId]) -> bool:
        apart = self.verdicts.apart
        return any(not apart[own].isdisjoint(theirs) for own in mine if own in apart) if apart else False

    def clusters(self) -> tuple[frozenset[PatientId], ...]:
        """In order of their smallest member."""
        found = {id(group): group for group in self._members.values()}
        return tuple(sorted((frozenset(group) for group in found.values()), key=lambda group: min(map(str, group))))


def _exact(people: Mapping[PatientId, Facts]) -> tuple[list[_Edge], int]:
    """Edges "shares an id and does not contradict", and how many shared ids met a contradiction.

    A component in which two members contradict each other (a third, vaguer one ties them) is taken apart again: then
    only members with the same known birth date and sex stay linked.
    """
    holders: dict[PatientId, list[PatientId]] = {}
    for own in sorted(people, key=str):
        for shared in people[own].shared | {own}:
            holders.setdefault(shared, []).append(own)
    groups = {shared: group for shared, group in holders.items() if len(group) > 1}
    conflicts = 0
    edges: set[_Edge] = set()
    for group in groups.values():
        agreeing = [pair for pair in combinations(group, 2) if not contradict(people[pair[0]], people[pair[1]])]
        conflicts += len(agreeing) < len(group) * (len(group) - 1) // 2
        edges.update(agreeing)
    if not edges:
        return [], conflicts
    kept: list[_Edge] = []
    for component in _components({own for edge in edges for own in edge}, edges):
        inside = [edge for edge in edges if edge[0] in component]
        if any(contradict(people[a], people[b]) for a, b in combinations(component, 2)):
            inside = [(a, b) for a, b in inside if _same(people[a], people[b])]
        kept += inside
    return sorted(kept, key=str), conflicts


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


def _components(people: Iterable[PatientId], edges: Iterable[_Edge]) -> list[set[PatientId]]:
    members = {own: {own} for own in people}
    for one, other in edges:
        mine, theirs = members[one], members[other]
        if mine is not theirs:
            if len(mine) < len(theirs):
                mine, theirs = theirs, mine
            mine |= theirs
            for member in theirs:
                members[member] = mine
    return list({id(group): group for group in members.values()}.values())
