"""matching.toml is complete, says why, and an incomplete one is refused."""

import tomllib
from pathlib import Path

import pytest

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.services.matching import weights
from gateway.services.matching.compare import POSSIBLE

OURS = mapping_files.path(weights.FILE)


def site(folder: Path, *changes: tuple[str, str]) -> Path:
    text = OURS.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / weights.FILE).write_text(text, "utf-8")
    return folder


def test_every_weight_and_every_rule_has_its_reason() -> None:
    values = tomllib.loads(OURS.read_text("utf-8"))
    rows = [row for name in POSSIBLE for row in values[name].values()] + list(values["rules"].values())
    assert rows and all(len(row["why"]) > 8 for row in rows)


def test_agreement_speaks_for_and_disagreement_against() -> None:
    levels = weights.load(None).levels
    for attribute, strong, weak in (
        ("family", "exact", "near"), ("given", "exact", "near"), ("birth", "equal", "digit"), ("address", "same", "town"),
    ):  # fmt: skip
        assert levels[attribute, strong] > levels[attribute, weak] >= 0 > levels[attribute, "different"]


def test_thresholds_are_in_order() -> None:
    ours = weights.load(None)
    assert ours.rules["shared-id"] > ours.link > ours.review > 0
    assert ours.probability(ours.link) > 0.999 and ours.probability(ours.review) < 0.5


def test_a_site_may_have_its_own_weights_and_names(tmp_path: Path) -> None:
    more = ("[sex]", '[names.family]\n"勅使河原" = 0.02\n\n[sex]')
    own = weights.load(site(tmp_path, ("link = 35.0", "link = 40.0"), more))
    assert own.link == 40 and own.version != weights.load(None).version
    assert own.shares[0]["勅使河原"] == 0.02


@pytest.mark.parametrize(
    "change",
    [
        ("link = 35.0", ""),
        ("[mail]", "[fax]"),
        ("former = {", "# former = {"),
        ("former = {", "formerly = {"),
        ("u = 0.0012", "u = 0"),
        ("u = 0.0012", 'u = "x"'),
        ('given = ["exact"', 'given = ["exakt"'),
        ("[outcome]", "[outcome"),
        ("twins = {", "twin = {"),
    ],
)
def test_what_is_not_complete_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"matching\.toml"):
        weights.load(site(tmp_path, change))


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        weights.load(tmp_path)
