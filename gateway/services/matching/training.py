"""The weights of a site's own records: u by counting random pairs, m by expectation-maximisation, names by counting.

As in record linkage textbooks (Winkler 1988; Fellegi & Sunter 1969): nobody says which pairs are one person. Two ways of
blocking are gone through, and each teaches the attributes it does not block on; u stays as counted. Where a file is too
small to teach, the weights that are there pull the estimate to themselves.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.errors import BadInput
from gateway.services.matching.compare import MISSING, Levels
from gateway.services.matching.features import Features
from gateway.services.matching.matching import Matching
from gateway.services.matching.weights import ATTRIBUTES

RANDOM_PAIRS = 400_000
BLOCKED_PAIRS = 200_000
"""At most so many pairs a way of blocking; a hundred thousand records are enough for each."""
MAX_BLOCK = 200
ROUNDS = 40
_ENOUGH = 1e-5
"""Change of the share of true pairs below which the estimate stands."""
_U_STRENGTH = 20_000.0
_M_STRENGTH = 50.0
"""Pairs that the weights already there count for."""
_LEAST_SHARE, _LEAST_RECORDS = 0.0005, 20
_FLOOR = 1e-7
_MIN_RECORDS = 100

Patterns = Counter[Levels]
Estimate = dict[str, dict[str, float]]
"""attribute -> level -> share."""


@dataclass(frozen=True, slots=True)
class Learnt:
    records: int
    pairs: int
    """Blocked pairs that taught m."""
    m: Estimate
    u: Estimate
    family: Mapping[str, float]
    given: Mapping[str, float]
    """Shares of names that are common here."""


def train(matching: Matching, features: Sequence[Features], values: Mapping[str, Any], seed: int = 1) -> Learnt:
    """Estimates from records; `values`: the parsed matching.toml to start from. Raises BadInput for too few records."""
    if len(features) < _MIN_RECORDS:
        raise BadInput(f"{len(features)} records; training needs {_MIN_RECORDS}")
    chance = Random(seed)
    start_m, start_u = _given(values, "m"), _given(values, "u")
    u = _counted(_patterns(matching, features, _random_pairs(chance, len(features))), start_u)
    by_birth = _patterns(matching, features, _blocked(chance, features, _whole_birth))
    by_name = _patterns(matching, features, _blocked(chance, features, _whole_name))
    first = _maximise(by_birth, start_m, u, skip=frozenset({"birth"}))
    second = _maximise(by_name, start_m, u, skip=frozenset({"family", "given"}))
    m = {name: dict((second if name == "birth" else first)[name]) for name in ATTRIBUTES}
    return Learnt(
        len(features),
        by_birth.total() + by_name.total(),
        m,
        u,
        _common(one.kanji[0].family for one in features if one.kanji and one.kanji[0].given),
        _common(one.kanji[0].given for one in features if one.kanji and one.kanji[0].given),
    )


def _given(values: Mapping[str, Any], which: str) -> Estimate:
    return {name: {level: float(row[which]) for level, row in values[name].items()} for name in ATTRIBUTES}


def _patterns(matching: Matching, features: Sequence[Features], pairs: Iterable[tuple[int, int]]) -> Patterns:
    return Counter(matching.seen(features[one], features[other]).levels for one, other in pairs)


def _random_pairs(chance: Random, records: int) -> Iterator[tuple[int, int]]:
    for _ in range(min(RANDOM_PAIRS, records * (records - 1) // 2)):
        one, other = chance.randrange(records), chance.randrange(records)
        if one != other:
            yield one, other


def _whole_birth(one: Features) -> str:
    return one.birth if len(one.birth) == 8 else ""


def _whole_name(one: Features) -> str:
    name = one.kana[0] if one.kana else None
    return f"{name.family} {name.given}" if name is not None and name.given else ""


def _blocked(chance: Random, features: Sequence[Features], key: Callable[[Features], str]) -> Iterator[tuple[int, int]]:
    """Pairs with one key, from blocks in an order by chance, until there are enough."""
    blocks: dict[str, list[int]] = defaultdict(list)
    for at, record in enumerate(features):
        if found := key(record):
            blocks[found].append(at)
    chosen = [block for block in blocks.values() if 1 < len(block) <= MAX_BLOCK]
    chance.shuffle(chosen)
    left = BLOCKED_PAIRS
    for block in chosen:
        for index, one in enumerate(block):
            yield from ((one, other) for other in block[index + 1 :])
        left -= len(block) * (len(block) - 1) // 2
        if left <= 0:
            return


def _counted(patterns: Patterns, start: Estimate) -> Estimate:
    """Shares of the levels among the pairs that can say something, drawn towards `start`."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ATTRIBUTES}
    for levels, count in patterns.items():
        for name, level in zip(ATTRIBUTES, levels, strict=True):
            if level != MISSING:
                found[name][level] += count
    return {name: _shares(found[name], start[name], _U_STRENGTH) for name in ATTRIBUTES}


def _shares(counts: Mapping[str, float], start: Mapping[str, float], strength: float) -> dict[str, float]:
    whole = sum(counts.values()) + strength
    return {
        level: min(1.0, max(_FLOOR, (counts.get(level, 0.0) + strength * share) / whole))
        for level, share in start.items()
    }


def _maximise(patterns: Patterns, start: Estimate, u: Estimate, skip: frozenset[str]) -> Estimate:
    """m of every attribute but the blocked ones, which agree in all pairs and so can tell nothing."""
    used = [(at, name) for at, name in enumerate(ATTRIBUTES) if name not in skip]
    m = {name: dict(levels) for name, levels in start.items()}
    share = 0.05
    for _ in range(ROUNDS):
        expected: dict[str, dict[str, float]] = {name: defaultdict(float) for _, name in used}
        true = 0.0
        for levels, count in patterns.items():
            likely, unlikely = share, 1.0 - share
            for at, name in used:
                if levels[at] != MISSING:
                    likely *= m[name][levels[at]]
                    unlikely *= u[name][levels[at]]
            belief = count * likely / (likely + unlikely) if likely else 0.0
            true += belief
            for at, name in used:
                if levels[at] != MISSING:
                    expected[name][levels[at]] += belief
        for _, name in used:
            m[name] = _shares(expected[name], start[name], _M_STRENGTH)
        before, share = share, min(0.999, max(1e-6, true / max(1, patterns.total())))
        if abs(share - before) < _ENOUGH:
            break
    return m


def _common(names: Iterable[str]) -> dict[str, float]:
    counts = Counter(names)
    whole = counts.total()
    return {
        name: count / whole
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count >= _LEAST_RECORDS and count / whole >= _LEAST_SHARE
    }


# -- the file ---------------------------------------------------------------------------------------------------------


def toml(values: Mapping[str, Any], learnt: Learnt) -> str:
    """A matching.toml with the estimates in place of ours; thresholds, rules and reasons stay."""
    lines = [
        f"# Trained from {learnt.records} records and {learnt.pairs} pairs of them; docs/matching.md says how to read it.",
        f'version = "{values["version"]}-trained"',
    ]
    for section in ("outcome", "rules", "shares"):
        lines += ["", f"[{section}]", *(f"{name} = {_value(value)}" for name, value in values[section].items())]
    for attribute in ATTRIBUTES:
        lines += ["", f"[{attribute}]"]
        for level, row in values[attribute].items():
            m, u = learnt.m[attribute][level], learnt.u[attribute][level]
            lines.append(f"{level} = {{ m = {m:.7f}, u = {u:.7f}, why = {_value(row['why'])} }}")
    for part, shares in (("family", learnt.family), ("given", learnt.given)):
        lines += ["", f"[names.{part}]", *(f"{_value(name)} = {share:.6f}" for name, share in shares.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{ord(letter):04x}" if ord(letter) < 32 or letter in '"\\\x7f' else letter for letter in value
        )
        return f'"{escaped}"'
    return repr(value)
