"""mappings/matching.toml as weights: what each level of agreement is worth, the rules' scores, the thresholds."""

import hashlib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.services.matching import normalise, romaji
from gateway.services.matching.compare import MISSING, POSSIBLE, Levels, Seen

FILE = "matching.toml"
ATTRIBUTES = Levels._fields
RULES = ("shared-id", "shared-id-conflict", "all-equal", "twins", "household")
_BY_NAME = frozenset({"exact", "kanji", "kana", "sound"})
"""Levels whose weight depends on how common the name is."""
_TABLES = (
    "kanji-variants",
    "kana-romaji",
    "romaji-forms",
    "newborn-names",
    "eras",
    "family-name-shares",
    "given-name-shares",
)
_CENT = Decimal("0.01")
_NOTHING = Decimal("0.00")
_PER = 100_000


@dataclass(frozen=True, slots=True)
class Needs:
    """What a link by score needs besides the score."""

    levels: tuple[tuple[str, frozenset[str]], ...]
    """(attribute, levels): each has to hold."""
    further: tuple[tuple[str, frozenset[str]], ...]
    """(attribute, levels): one has to hold."""


@dataclass(frozen=True, slots=True)
class Weights:
    version: str
    """Of the file and of the tables that normalise: another one means other answers."""
    prior: float
    link: Decimal
    review: Decimal
    needs: Needs
    rules: Mapping[str, Decimal]
    levels: Mapping[tuple[str, str], Decimal]
    """(attribute, level) -> bits."""
    average: tuple[float, float]
    rare: tuple[float, float]
    shares: tuple[Mapping[str, float], Mapping[str, float]]
    """Of family names and given names, by kanji, by reading and by sound."""

    def of(self, found: Seen) -> tuple[tuple[str, str, Decimal], ...]:
        """(attribute, level, weight) of each attribute that both sides have."""
        weighed: list[tuple[str, str, Decimal]] = []
        for attribute, level in zip(ATTRIBUTES, found.levels, strict=True):
            if level == MISSING:
                continue
            weight = self.levels[attribute, level]
            if level in _BY_NAME:
                weight += self._common(0, found.family) if attribute == "family" else self._common(1, found.given)
            weighed.append((attribute, level, weight))
        return tuple(weighed)

    def _common(self, part: int, name: str) -> Decimal:
        """Bits to add for a name: negative for a common one."""
        share = self.shares[part].get(name) or self.rare[part]
        return _bits(self.average[part], share)

    def probability(self, score: Decimal) -> Decimal:
        """Of one person, by the score and the prior."""
        return _probability(float(score) + self.prior)


@lru_cache(maxsize=4_096)
def _bits(m: float, u: float) -> Decimal:
    return Decimal(math.log2(m / u)).quantize(_CENT)


@lru_cache(maxsize=16_384)
def _probability(bits: float) -> Decimal:
    return Decimal(1 / (1 + 2.0 ** -max(min(bits, 200.0), -200.0))).quantize(Decimal("0.000001"))


def parsed(place: Path | None) -> dict[str, Any]:
    """A site's matching.toml (the file, or the folder it is in), or ours, as it stands. Raises ConfigurationError for
    what is no such file."""
    return _parsed(place)[1]


def _parsed(place: Path | None) -> tuple[bytes, dict[str, Any]]:
    file = mapping_files.path(FILE) if place is None else place / FILE if place.is_dir() else place
    try:
        text = file.read_bytes()
        return text, tomllib.loads(text.decode())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{FILE}: {type(error).__name__}: {error}") from None


def load(place: Path | None) -> Weights:
    """From a site's matching.toml, or ours. Raises ConfigurationError for a file that leaves something open."""
    text, values = _parsed(place)
    try:
        return of_toml(values, hashlib.sha256(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{FILE}: {type(error).__name__}: {error}") from None


def of_toml(values: dict[str, Any], digest: "hashlib._Hash") -> Weights:
    """Weights of a parsed file; `digest` of its bytes goes into the version, with that of the tables. Raises KeyError
    and ValueError for what is not complete."""
    for name in _TABLES:
        digest.update(mapping_files.path("tables", f"{name}.csv").read_bytes())
    outcome, shares = values["outcome"], values["shares"]
    needs = dict(outcome["needs"])
    further = needs.pop("further")
    levels = dict(_levels(values))
    _check_needs(levels, needs, further)
    site = values.get("names", {})
    return Weights(
        version=f"{values['version']}+{digest.hexdigest()[:12]}",
        prior=float(outcome["prior"]),
        link=_decimal(outcome["link"]),
        review=_decimal(outcome["review"]),
        needs=Needs(_named(needs), _named(further)),
        rules={name: _decimal(values["rules"][name]["score"]) for name in RULES},
        levels=levels,
        average=(shares["average"], shares["average_given"]),
        rare=(shares["rare"], shares["rare_given"]),
        shares=(
            _shares("family-name-shares", site.get("family", {})),
            _shares("given-name-shares", site.get("given", {})),
        ),
    )


def _levels(values: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Decimal]]:
    for attribute in ATTRIBUTES:
        if values[attribute].keys() != POSSIBLE[attribute]:
            raise ValueError(f"{attribute}: the levels are {', '.join(sorted(POSSIBLE[attribute]))}")
        for level, row in values[attribute].items():
            if not (0 < row["m"] <= 1 and 0 < row["u"] <= 1):
                raise ValueError(f"{attribute}.{level}: m and u are shares between 0 and 1")
            yield (attribute, level), _bits(row["m"], row["u"])


def _check_needs(
    levels: Mapping[tuple[str, str], Decimal], needs: dict[str, list[str]], further: dict[str, list[str]]
) -> None:
    for attribute, names in (*needs.items(), *further.items()):
        for name in names:
            if name != MISSING and (attribute, name) not in levels:
                raise ValueError(f"outcome.needs: {attribute} has no level {name!r}")


def _named(levels: dict[str, list[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((attribute, frozenset(names)) for attribute, names in levels.items())


def _decimal(number: float) -> Decimal:
    return Decimal(str(number)).quantize(_CENT)


def _shares(table: str, site: Mapping[str, float]) -> dict[str, float]:
    """Shares by every form in which a name may agree; those of one reading or sound add up."""
    found: dict[str, float] = {}
    for row in mapping_files.read_csv(mapping_files.path("tables", f"{table}.csv")):
        kana = normalise.letters(row["kana"])
        share = int(row["per_100000"]) / _PER
        for form in {normalise.letters(row["kanji"]), normalise.reading(kana), romaji.of_kana(kana)}:
            found[form] = found.get(form, 0.0) + share
    found.update({normalise.letters(name): share for name, share in site.items()})
    return found
