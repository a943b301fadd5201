"""The three communities of the demonstration: one person known at all of them under three numbers and one medical id."""

from dataclasses import dataclass, replace
from pathlib import Path

from gateway.sandbox import tables
from gateway.sandbox.facilities import NAGASAKI, OSAKA, TOKYO, FacilityProfile
from gateway.sandbox.manifest import Manifest
from gateway.sandbox.people import Insured, Person, check_digit, people
from gateway.sandbox.segments import day_number
from gateway.sandbox.ssmix2 import generate
from gateway.sandbox.tree import Deviations

SHARED = Person(
    family="見本",
    given="結子",
    family_kana="ミホン",
    given_kana="ユイコ",
    birth_date="19700405",
    sex="F",
    postcode="000-0001",
    address="東京都架空区見本町１２丁目３番４号",
    phone="000-0000-1234",
    spouse=tables.Name("実", "ミノル", "M"),
    medical_id="9900000000000017",
    insured=Insured(
        "06^組合管掌健康保険^JHSD0001",
        "0699998" + check_digit("0699998"),
        "見本健康保険組合",
        "99170017",
        "1700017",
        "00",
    ),
    abo="A",
    rh="+",
    height_cm="157.5",
    weight_kg="54.3",
    problems=tuple(problem for problem in tables.problems() if problem.tag in {"sugar", "lipid"}),
    allergies=tables.allergies()[:1],
)
"""The patient of the demonstration (架空の患者)."""


@dataclass(frozen=True, slots=True)
class DemoSite:
    """One community's storage. `position`: where SHARED stands among the patients, which gives her local number there.

    Patient numbers of the three hospitals begin alike, so one number means three different people: only the
    assigning authority tells them apart.
    """

    folder: str
    facility: FacilityProfile
    seed: int
    files: int
    position: int
    deviations: Deviations = Deviations()  # noqa: RUF009 (frozen)

    @property
    def root(self) -> str:
        """Storage root below the demo folder; its last part is the institution code, as storages are named."""
        return f"{self.folder}/{self.facility.institution}"

    @property
    def shared_number(self) -> str:
        return self.facility.patient_number(self.position)


SITES = (
    DemoSite("tokyo", replace(TOKYO, sends=frozenset({"ADT-12", "PPR-01", "OML-11"})), seed=38, files=34, position=0),
    DemoSite(
        "osaka",
        replace(OSAKA, sends=frozenset({"ADT-12", "ADT-22", "ADT-52", "OML-11"})),
        seed=15,
        files=36,
        position=1,
        deviations=Deviations(lf=0.2),
    ),
    DemoSite(
        "nagasaki",
        replace(NAGASAKI, sends=frozenset({"ADT-12", "OMP-01"})),
        seed=3,
        files=34,
        position=2,
        deviations=Deviations(utf8=0.2),
    ),
)

PATIENTS = 5


def write(folder: Path) -> dict[str, Manifest]:
    """Writes all three storages below `folder`, which must not hold them yet; manifests by site folder."""
    first_day = day_number(2024, 4, 1)
    manifests = {}
    for site in SITES:
        others = people(site.seed)
        persons = [next(others) for _ in range(site.position)] + [SHARED]
        manifests[site.folder] = generate(
            folder / site.root,
            seed=site.seed,
            patients=PATIENTS,
            files=site.files,
            facility=site.facility,
            people=persons,
            deviations=site.deviations,
            first_day=first_day,
        )
    return manifests
