"""Matching of records: how many a second, and how good on invented people whose truth is known."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from gateway.codec.persons import PersonLine
from gateway.model.identity import Authority
from gateway.sandbox.people import MEDICAL_ID_OID
from gateway.sandbox.persons import records
from gateway.services.matching import Features, Matching
from gateway.services.matching.evaluation import candidates, evaluate
from tests.bench import material
from tests.bench.measure import Figure, best_of

COMPARISONS_A_SECOND, FEATURES_A_SECOND = 20_000, 3_000
PRECISION, RECALL = 0.999, 0.97
SEED = 20_240_602
_SPEED = 5_000
"""Records the speeds are measured with."""


def matching(_: Path, size: material.Size) -> Iterator[Figure]:
    """Speeds on one core (CPU time), then quality: precision of automatic links, recall of links and reviews."""
    ours = Matching.load(None, [Authority(MEDICAL_ID_OID, kind="medical-id")])
    known = list(records(SEED, size.persons))
    lines = known[:_SPEED]
    spent = best_of(partial(_describe, ours, lines), size.runs).cpu
    yield Figure("matching, features", len(lines) / spent, "records/s", FEATURES_A_SECOND, at_least=True, note="normal forms and keys of a record")  # fmt: skip
    features = [ours.features(line.demographics, line.ids) for line in lines]
    pairs = list(islice(candidates(ours, features), 20_000))
    pairs += [(at, at + 1) for at in range(len(features) - 1)]
    spent = best_of(partial(_compare, ours, features, pairs), size.runs).cpu
    yield Figure("matching, comparisons", len(pairs) / spent, "pairs/s", COMPARISONS_A_SECOND, at_least=True, note=f"{len(pairs)} pairs, those that share a key and neighbours")  # fmt: skip
    found = evaluate(ours, known)
    note = (
        f"{found.records:,} records, {found.true_pairs:,} true pairs; {found.links:,} links, {found.reviews:,} reviews"
    )
    yield Figure("matching, precision", found.precision, "of links", PRECISION, at_least=True, note=note)
    yield Figure("matching, recall", found.recall, "of pairs", RECALL, at_least=True, note="linked or sent to people")
    births = len({line.twins for line in known if line.twins})
    apart = 1 - found.twins_linked / max(1, births)
    yield Figure("matching, twins apart", apart, "of births", 1, at_least=True, note=f"{births} multiple births")


def _describe(ours: Matching, lines: list[PersonLine]) -> None:
    for line in lines:
        ours.keys(ours.features(line.demographics, line.ids))


def _compare(ours: Matching, features: list[Features], pairs: list[tuple[int, int]]) -> None:
    for one, other in pairs:
        ours.compare(features[one], features[other])
