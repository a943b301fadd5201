"""Splink's opinion of the same records (extra `match`): an independent Fellegi-Sunter model on DuckDB, trained unsupervised.

It gets our normal forms but neither our rules nor our weights. What it is sure of and we call two persons has to be two
persons: it adds a household's telephone, house and family name up to a person, and that is what our rules are for.
"""

from typing import Any

import pytest

from gateway.codec.persons import PersonLine
from gateway.model.person import Comparison
from gateway.sandbox.persons import records
from gateway.services.matching import Features, Matching

splink = pytest.importorskip("splink", reason="the extra `match` is not installed")
library = pytest.importorskip("splink.comparison_library", reason="the extra `match` is not installed")
pandas = pytest.importorskip("pandas", reason="the extra `match` is not installed")

PERSONS, SEED = 10_000, 99
SURE = 0.999
MATCHING = Matching.load()

pytestmark = pytest.mark.oracle


def row(at: int, known: Features) -> dict[str, Any]:
    kanji = known.kanji[0] if known.kanji else None
    sound = (known.kana or known.romaji or (None,))[0]
    place = known.addresses[0] if known.addresses else None
    said = {
        "kanji_family": kanji and kanji.family,
        "kanji_given": kanji and kanji.given,
        "sound_family": sound and sound.sound[0],
        "sound_given": sound and sound.sound[1],
        "birth": known.birth,
        "sex": known.sex,
        "postal": place and place.postal,
        "house": place and "-".join(place.numbers),
        "phone": known.phones[0] if known.phones else None,
    }
    return {"unique_id": at, **{name: value or None for name, value in said.items()}}


def opinion(features: list[Features]) -> set[tuple[int, int]]:
    """Pairs that Splink is sure of."""
    block = splink.block_on
    names = ("kanji_family", "kanji_given", "sound_family", "sound_given")
    settings = splink.SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            *(library.ExactMatch(name).configure(term_frequency_adjustments=True) for name in names[:2]),
            *(library.DamerauLevenshteinAtThresholds(name, 1) for name in (*names[2:], "birth")),
            *(library.ExactMatch(name) for name in ("sex", "postal", "house", "phone")),
        ],
        blocking_rules_to_generate_predictions=[
            *(block(name, "birth") for name in (*names, "postal")),
            block("phone"),
            block("sound_family", "sound_given", "postal"),
        ],
    )
    database = splink.DuckDBAPI()
    table = pandas.DataFrame([row(at, known) for at, known in enumerate(features)])
    linker = splink.Linker(database.register(table), settings)
    training = linker.training
    training.estimate_u_using_random_sampling(max_pairs=500_000, seed=1)
    training.estimate_probability_two_random_records_match([block("kanji_family", "kanji_given", "birth")], recall=0.6)
    training.estimate_parameters_using_expectation_maximisation(block("birth"))
    training.estimate_parameters_using_expectation_maximisation(block("sound_family", "sound_given"))
    found = linker.inference.predict(threshold_match_probability=SURE).as_pandas_dataframe()
    return {(min(pair), max(pair)) for pair in zip(found.unique_id_l, found.unique_id_r, strict=True)}


def test_what_splink_is_sure_of_and_we_are_not_is_two_persons() -> None:
    known: list[PersonLine] = list(records(SEED, PERSONS))
    features = [MATCHING.features(line.demographics) for line in known]
    sure = opinion(features)
    ours: dict[tuple[int, int], Comparison] = {
        pair: MATCHING.compare(features[pair[0]], features[pair[1]]) for pair in sure
    }
    same = {pair for pair in sure if known[pair[0]].person == known[pair[1]].person}
    assert len(same) > PERSONS / 20, "it has learnt something"
    lost = [pair for pair in same if ours[pair].outcome == "separate"]
    assert len(lost) <= len(same) / 200
    linked = [pair for pair in sure - same if ours[pair].outcome == "link"]
    assert linked == []
