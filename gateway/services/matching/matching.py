"""Are two records one person (名寄せ)? Deterministic rules first, then the sum of weights (Fellegi & Sunter).

Pure: the same two records and the same version give the same answer, whichever is named first. A wrong link shows one
patient another's results, a missing one leaves a gap: where the two compete, the pair goes to people.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from gateway.model.identity import Authority, PatientId
from gateway.model.person import Comparison, Demographics, Outcome
from gateway.services.matching import blocking, weights
from gateway.services.matching import features as features_
from gateway.services.matching.compare import Levels, Seen, seen
from gateway.services.matching.features import Features

_PLAIN = frozenset({"exact", "kanji", "kana"})
_CERTAIN_GIVEN = frozenset({*_PLAIN, "sound", "swapped"})
_AGREES = frozenset({*_PLAIN, "sound", "spelling", "reading", "swapped", "former", "near"})
_NO_NAME_SHARED = frozenset({"different", "near", "part", "missing"})
_BIRTHS_TOGETHER = frozenset({"equal", "month", "year"})
_NOTHING = Decimal("0.00")


class Matching:
    """One set of weights at work. Thread-safe: nothing changes after it is made."""

    def __init__(self, rules: weights.Weights, authorities: Iterable[Authority] = ()) -> None:
        known = list(authorities)
        self._weights = rules
        self._unique = frozenset(one.oid for one in known if one.kind == "medical-id")
        self._household = frozenset(one.oid for one in known if one.kind == "insurer")

    @classmethod
    def load(cls, place: Path | None = None, authorities: Iterable[Authority] = ()) -> "Matching":
        """The weights of a site's matching.toml (the file or its folder), or ours. `authorities` say which ids a person has one of (medical ID)
        and which a family may share (insurer). Raises ConfigurationError."""
        return cls(weights.load(place), authorities)

    @property
    def version(self) -> str:
        """Of the weights and of the tables behind the normal forms."""
        return self._weights.version

    @property
    def weights(self) -> weights.Weights:
        return self._weights

    def features(self, demographics: Demographics, ids: tuple[PatientId, ...] = ()) -> Features:
        """What is kept of a record; `ids`: its own first, then others of the person."""
        return features_.features(demographics, ids)

    def keys(self, features: Features) -> tuple[str, ...]:
        """Records that share one of these are worth comparing."""
        return blocking.keys(features)

    def seen(self, one: Features, other: Features) -> Seen:
        """The levels of agreement alone, as training counts them."""
        return seen(one, other, self._unique, self._household)

    def compare(self, one: Features, other: Features) -> Comparison:
        """link, review or separate, with what each attribute contributed."""
        found = self.seen(one, other)
        weighed = self._weights.of(found)
        score = sum((weight for _, _, weight in weighed), _NOTHING)
        rule = _rule(one, other, found)
        if rule:
            score = self._weights.rules[rule]
            return Comparison(_OUTCOMES[rule], score, self._weights.probability(score), rule, weighed)
        outcome: Outcome = "separate"
        if score >= self._weights.review:
            outcome = "link" if score >= self._weights.link and self._certain(found) else "review"
        return Comparison(outcome, score, self._weights.probability(score), "score", weighed)

    def _certain(self, found: Seen) -> bool:
        """Whether a high score may link without people."""
        if found.one_domain or found.order_differs or found.levels.id == "different":
            return False
        levels = found.levels
        needs = self._weights.needs
        return all(getattr(levels, attribute) in names for attribute, names in needs.levels) and any(
            getattr(levels, attribute) in names for attribute, names in needs.further
        )


_OUTCOMES: dict[str, Outcome] = {
    "shared-id": "link",
    "shared-id-conflict": "review",
    "all-equal": "link",
    "twins": "separate",
    "household": "separate",
}


def _rule(one: Features, other: Features, found: Seen) -> str:
    """The deterministic rule that decides, or ""."""
    levels = found.levels
    twins = _twins(found)
    if levels.id == "equal":
        if not (twins or _contradict(levels)):
            return "shared-id"
        return "shared-id-conflict"
    if levels.id == "household" and _same_insured(levels) and not twins:
        return "shared-id"
    if twins:
        return "twins"
    if _household(levels):
        return "household"
    if levels.id == "different" or found.order_differs or one.newborn or other.newborn:
        return ""
    same_name = levels.family in _PLAIN and levels.given in _PLAIN
    same_place = levels.address in ("same", "part") or levels.phone == "equal"
    if same_name and same_place and levels.birth == "equal" and levels.sex == "equal":
        # A family's house and telephone under one name and birth date is one person, in whatever domain.
        return "all-equal"
    return ""


def _twins(found: Seen) -> bool:
    """Born together into one family, and not one: the given names are others, or the birth orders."""
    levels = found.levels
    together = levels.birth in _BIRTHS_TOGETHER and (levels.family in _AGREES or _same_home(levels))
    return together and (levels.given == "different" or found.order_differs)


def _household(levels: Levels) -> bool:
    """Two members of one family: what agrees is what a family shares. Most pairs under one telephone are such."""
    if not _same_home(levels):
        return False
    return levels.given == "different" or (levels.given in _NO_NAME_SHARED and levels.birth == "different")


def _same_home(levels: Levels) -> bool:
    return levels.address == "same" or levels.phone == "equal" or levels.id == "household"


def _same_insured(levels: Levels) -> bool:
    """An insurance number may be that of a family: with it, name and whole birth date have to agree as well."""
    return (
        levels.given in _CERTAIN_GIVEN
        and levels.family in _AGREES
        and levels.birth == "equal"
        and levels.sex != "different"
    )


def _contradict(levels: Levels) -> bool:
    """Something that cannot both be true of one person. A family name may have changed; nothing else changes."""
    return (
        levels.birth not in ("equal", "month", "year", "missing")
        or levels.sex == "different"
        or levels.given in ("different", "part")
        or (levels.family == "different" and levels.given not in (*_AGREES, "missing"))
    )
