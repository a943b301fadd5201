"""How good the matching is where the truth is known: precision of links, recall of links and reviews, twins linked."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from gateway.codec.persons import PersonLine
from gateway.services.matching.features import Features
from gateway.services.matching.matching import Matching

MAX_BLOCK = 500
"""Records under one key beyond which the key is not followed: a telephone of a nursing home."""


@dataclass(slots=True)
class Quality:
    records: int = 0
    pairs: int = 0
    """Compared."""
    true_pairs: int = 0
    """Of one person, compared or not."""
    links: int = 0
    wrong_links: int = 0
    reviews: int = 0
    true_reviews: int = 0
    twins_linked: int = 0
    blocks_left: int = 0
    """Keys with too many records."""
    seconds: float = 0.0
    missed: list[tuple[PersonLine, PersonLine]] = field(default_factory=list)
    """Up to 200 pairs of one person that nothing found."""
    wrong: list[tuple[PersonLine, PersonLine]] = field(default_factory=list)
    """Up to 200 links of two persons."""

    @property
    def precision(self) -> float:
        """Of the links that nobody looks at (自動連結の適合率)."""
        return (self.links - self.wrong_links) / self.links if self.links else 1.0

    @property
    def recall(self) -> float:
        """Of links and reviews together (再現率)."""
        found = self.links - self.wrong_links + self.true_reviews
        return found / self.true_pairs if self.true_pairs else 1.0

    @property
    def recall_linked(self) -> float:
        return (self.links - self.wrong_links) / self.true_pairs if self.true_pairs else 1.0

    def as_dict(self) -> dict[str, float | int]:
        return {
            "records": self.records,
            "true_pairs": self.true_pairs,
            "compared": self.pairs,
            "links": self.links,
            "wrong_links": self.wrong_links,
            "precision": round(self.precision, 6),
            "recall_linked": round(self.recall_linked, 6),
            "reviews": self.reviews,
            "true_reviews": self.true_reviews,
            "recall": round(self.recall, 6),
            "twins_linked": self.twins_linked,
            "blocks_left": self.blocks_left,
            "seconds": round(self.seconds, 1),
        }


_KEPT = 200


def evaluate(matching: Matching, lines: Iterable[PersonLine]) -> Quality:
    """Blocks and compares all records and holds the answers against the truth they carry."""
    quality = Quality()
    known = list(lines)
    started = perf_counter()
    features = [matching.features(line.demographics, line.ids) for line in known]
    found: set[tuple[int, int]] = set()
    for one, other in candidates(matching, features, quality):
        quality.pairs += 1
        outcome = matching.compare(features[one], features[other]).outcome
        if outcome == "separate":
            continue
        same = known[one].person == known[other].person
        if same:
            found.add((one, other))
        if outcome == "review":
            quality.reviews += 1
            quality.true_reviews += same
            continue
        quality.links += 1
        if not same:
            quality.wrong_links += 1
            quality.twins_linked += bool(known[one].twins and known[one].twins == known[other].twins)
            quality.wrong += [(known[one], known[other])] if len(quality.wrong) < _KEPT else []
    quality.seconds = perf_counter() - started
    quality.records = len(known)
    for pair in _true_pairs(known):
        quality.true_pairs += 1
        if pair not in found and len(quality.missed) < _KEPT:
            quality.missed.append((known[pair[0]], known[pair[1]]))
    return quality


def candidates(
    matching: Matching, features: list[Features], quality: Quality | None = None
) -> Iterator[tuple[int, int]]:
    """Pairs of positions that share a key, each once, the smaller first."""
    blocks: dict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(features):
        near: set[int] = set()
        for key in matching.keys(one):
            block = blocks[key]
            if len(block) < MAX_BLOCK:
                near.update(block)
                block.append(at)
            elif quality is not None:
                quality.blocks_left += len(block) == MAX_BLOCK
        for other in sorted(near):
            yield other, at


def _true_pairs(known: list[PersonLine]) -> Iterator[tuple[int, int]]:
    holders: dict[int, list[int]] = defaultdict(list)
    for at, line in enumerate(known):
        if line.person:
            holders[line.person].append(at)
    for places in holders.values():
        yield from ((one, other) for index, one in enumerate(places) for other in places[index + 1 :])
