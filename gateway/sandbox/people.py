"""People who do not exist, with the identities a region knows them by. Drawn from a seeded generator, never from a clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gateway.sandbox import tables

MEDICAL_ID_OID = "1.2.392.200119.99999.3"
"""Assigning authority of the shared medical id (医療等ID) in the sandbox, under the test arc."""
MEDICAL_ID_NAMESPACE = "MEDICAL-ID"

_MEDICAL_ID_SHARE = 0.7
"""Share of people who hold a medical id; the others are known by facility numbers and insurance only."""
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BIRTH_YEARS = (*range(1928, 1940), *range(1950, 1996))
"""Adults in the years the sandbox plays in (2015 to 2024), and none who turns 75 in them."""
_ELDERLY_BIRTH_YEAR = 1940
"""Born before: insured with the late-elderly scheme (後期高齢者医療, law 39), which begins at 75."""


@dataclass(frozen=True, slots=True)
class Insured:
    """Insured-person data (被保険者証) as IN1 carries it."""

    law: str
    """CE of JHSD0001 (法別番号)."""
    insurer: str
    """Insurer number with check digit: 8 digits, 6 for national health insurance."""
    insurer_name: str
    symbol: str
    number: str
    branch: str


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person. The same value at two facilities is the same human being with two local numbers."""

    family: str
    given: str
    family_kana: str
    given_kana: str
    birth_date: str
    """YYYYMMDD"""
    sex: str
    """M or F (table 0001)."""
    postcode: str
    address: str
    phone: str
    spouse: tables.Name | None
    """Given name of the spouse, who is the next of kin (NK1); None: the person lives alone."""
    medical_id: str
    """Empty when the person has none. 16 digits, so that it can never be taken for a 12-digit My Number."""
    insured: Insured
    abo: str
    rh: str
    height_cm: str
    weight_kg: str
    problems: tuple[tables.Problem, ...]
    allergies: tuple[tables.Allergy, ...]

    @property
    def tags(self) -> frozenset[str]:
        """What the person's conditions do to laboratory values and to the choice of drugs."""
        return frozenset(problem.tag for problem in self.problems)


def people(seed: int) -> Iterator[Person]:
    """An endless row of people; the first n of one seed are always the same."""
    rng = Random(seed)
    while True:
        yield draw(rng)


def draw(rng: Random) -> Person:
    """One person. Medical id (14 free digits) and insured-person number are drawn from spaces too large to meet twice."""
    family = rng.choice(tables.family_names())
    given = rng.choice(tables.given_names())
    postcode, place = rng.choice(tables.addresses())
    birth_year = rng.choice(_BIRTH_YEARS)
    month = rng.randint(1, 12)
    day = rng.randint(1, _DAYS_IN_MONTH[month - 1])
    height = rng.gauss(170 if given.sex == "M" else 157, 6.0)
    weight = max(36.0, (height - 100) * rng.gauss(0.92, 0.12))
    return Person(
        family=family.kanji,
        given=given.kanji,
        family_kana=family.kana,
        given_kana=given.kana,
        birth_date=f"{birth_year}{month:02d}{day:02d}",
        sex=given.sex,
        postcode=postcode,
        address=f"{place}{_wide(rng.randint(1, 99))}丁目{_wide(rng.randint(1, 30))}番{_wide(rng.randint(1, 20))}号",
        phone=f"000-{rng.randint(0, 9999):04d}-{rng.randint(0, 9999):04d}",
        spouse=rng.choice([name for name in tables.given_names() if name.sex != given.sex])
        if rng.random() < 0.6
        else None,
        medical_id=f"99{rng.randrange(10**14):014d}" if rng.random() < _MEDICAL_ID_SHARE else "",
        insured=_insured(rng, birth_year),
        abo=rng.choice(("A", "A", "A", "A", "O", "O", "O", "B", "B", "AB")),
        rh="+" if rng.random() < 0.995 else "-",
        height_cm=f"{height:.1f}",
        weight_kg=f"{weight:.1f}",
        problems=tuple(rng.sample(tables.problems(), rng.choice((1, 1, 2, 2, 3)))),
        allergies=tuple(rng.sample(tables.allergies(), rng.choice((0, 0, 1, 1, 2)))),
    )


def _insured(rng: Random, birth_year: int) -> Insured:
    schemes = tables.insurers()
    elderly = birth_year < _ELDERLY_BIRTH_YEAR
    scheme = rng.choice([insurer for insurer in schemes if (insurer.law == "39") == elderly])
    return Insured(
        law=f"{scheme.law}^{scheme.law_name}^JHSD0001",
        insurer=scheme.number + check_digit(scheme.number),
        insurer_name=scheme.name,
        symbol="" if elderly else scheme.symbol + f"{rng.randrange(10**6):06d}",
        number=f"{rng.randrange(10**8):08d}" if elderly else f"{rng.randrange(10**7):07d}",
        # The late-elderly scheme insures each person alone: it has neither symbol nor branch.
        branch="" if elderly else rng.choice(("00", "01")),
    )


def check_digit(digits: str) -> str:
    """Check digit of insurer numbers: weights 2, 1, 2, ... from the right, digits of the products summed, modulo 10."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 if position % 2 == 0 else 1)
        total += product // 10 + product % 10
    return str(-total % 10)


def _wide(number: int) -> str:
    """Full-width digits, as Japanese addresses are written."""
    return str(number).translate(str.maketrans("0123456789", "０１２３４５６７８９"))
