"""A synthetic SS-MIX2 standardised storage (標準化ストレージ): the same seed gives the same bytes, anywhere.

Each patient has one course: basics, problems, then visits and stays with laboratory results and prescriptions. Some
files were replaced (old version flag 2, new version flag 1), some deleted (the file and its delete message, flag 0).
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from gateway.sandbox import adt, lab, prescription, problem
from gateway.sandbox.facilities import TOKYO, Doctor, FacilityProfile
from gateway.sandbox.manifest import Manifest
from gateway.sandbox.people import Person, people
from gateway.sandbox.segments import Chart, Moment, Place, chart, day
from gateway.sandbox.tree import NO_ORDER, STANDARD, Deviations, Tree

SUPERSEDED_SHARE = 0.08
DELETED_SHARE = 0.05
_STAY_SHARE = 0.12
_LAB_SHARE = 0.7
_PRESCRIPTION_SHARE = 0.65
_SPAN_DAYS = 3300
"""Days over which a course is spread when it has many files: about nine years."""


def generate(
    root: Path,
    *,
    seed: int,
    patients: int,
    files: int | None = None,
    facility: FacilityProfile = TOKYO,
    people: Sequence[Person] | None = None,
    deviations: Deviations = STANDARD,
    first_day: int = 400,
    transactions: Path | None = None,
) -> Manifest:
    """Writes a storage below `root` and returns what it holds.

    `files`: exactly so many, spread evenly over the patients (at least one each); None: 4 to 16 a patient by chance.
    `people`: who the first patients are (the rest is drawn). `first_day`: day number (segments.day_number) on
    which the earliest course begins. `transactions`: a file of the transaction storage with the same content, in order
    of the courses. Raises ValueError on impossible numbers and
    FileExistsError when a file is already there.
    """
    known = people or ()
    if patients < len(known) or (files is not None and files < patients):
        raise ValueError("patients must cover the people given, and files the patients")
    rng = Random(seed)
    tree = Tree(root, deviations, rng, transactions)
    serial = _Serial()
    for index, person in enumerate(_persons(known, rng, patients)):
        quota = rng.randint(4, 16) if files is None else files // patients + (index < files % patients)
        tree.start_patient()
        _Course(tree, Random(rng.getrandbits(64)), serial, chart(facility, person, index), quota, first_day).run()
    return tree.manifest


def _persons(known: Sequence[Person], rng: Random, patients: int) -> Iterable[Person]:
    yield from known
    yield from islice(people(rng.getrandbits(64)), patients - len(known))


class _Serial:
    """Order numbers and message control ids, unique within the storage."""

    def __init__(self) -> None:
        self._last = 0

    def order(self) -> str:
        """15 digits; the last three stay zero so that a running count can follow (ORC-3, PRB-4)."""
        self._last += 1
        return f"{self._last:012d}000"

    def control_id(self, made: Moment) -> str:
        """MSH-10: 18 characters."""
        self._last += 1
        return f"{day(made.day)}{self._last:010d}"


class _Course:
    """Everything one facility writes about one patient, until `quota` files are there."""

    def __init__(self, tree: Tree, rng: Random, serial: _Serial, chart: Chart, quota: int, first_day: int) -> None:
        self.tree = tree
        self.rng = rng
        self.serial = serial
        self.chart = chart
        self.left = quota
        self.sends = chart.facility.sends
        self.day = first_day + int(rng.random() * 200)
        visits = max(1, quota // 2)
        self.longest_gap = max(2, min(60, _SPAN_DAYS // visits))
        self.doctor: Doctor = rng.choice(chart.facility.doctors)

    def run(self) -> None:
        first_day = self.day
        self._basics()
        if self.left and "PPR-01" in self.sends:
            self._problems(first_day)
        while self.left:
            before = self.left
            self.day += 1 + int(self.rng.random() * self.longest_gap)
            if "ADT-22" in self.sends and self.rng.random() < _STAY_SHARE:
                self._stay()
            else:
                self._visit()
            if self.left == before:  # chance chose nothing
                self._reception(self._clinic())

    # -- one file, or one key with its versions

    def _write(
        self, data_type: str, care_date: str, order: str, made: Moment, department: str, flag: str, body: list[str]
    ) -> None:
        self.tree.write(self.chart.number, care_date, data_type, order, made.timestamp, department, flag, body)
        self.left -= 1

    def _fate(self) -> str:
        """What became of a key: kept, superseded or deleted; the last two take two files."""
        draw = self.rng.random()
        if self.left < 2 or draw >= SUPERSEDED_SHARE + DELETED_SHARE:
            return "kept"
        return "superseded" if draw < SUPERSEDED_SHARE else "deleted"

    def _moment(self, first_second: int, last_second: int) -> Moment:
        random = self.rng.random
        return Moment(self.day, first_second + int(random() * (last_second - first_second)), int(random() * 1000))

    def _clinic(self) -> Place:
        doctor = self.doctor
        return Place(doctor, self._department(doctor), False, f"{doctor.department}^^^^^C")

    def _bed(self) -> Place:
        doctor = self.doctor
        room = 301 + int(self.rng.random() * 20)
        return Place(doctor, self._department(doctor), True, f"3E^{room}^{1 + int(self.rng.random() * 4)}^^^N")

    def _department(self, doctor: Doctor) -> str:
        return f"{doctor.department}^{dict(self.chart.facility.departments)[doctor.department]}^HL70069"

    # -- data types

    def _basics(self) -> None:
        place = self._clinic()
        made = self._moment(30_000, 31_000)
        if self._fate() == "superseded":
            old = adt.basics(
                self.chart, place, made, self.serial.control_id(made), address="東京都架空区旧住所町１番１号"
            )
            self._write("ADT-00", "-", NO_ORDER, made, "-", "2", old)
            made = made.later(600 + int(self.rng.random() * 20_000))
        body = adt.basics(self.chart, place, made, self.serial.control_id(made))
        self._write("ADT-00", "-", NO_ORDER, made, "-", "1", body)

    def _problems(self, first_day: int) -> None:
        place = self._clinic()
        entries = problem.draw(self.rng, self.chart, self.serial.order(), first_day)
        made = self._moment(40_000, 50_000)
        if self._fate() == "superseded":
            old = problem.render(self.chart, place, entries[:1], made, self.serial.control_id(made))
            self._write("PPR-01", "-", NO_ORDER, made, "-", "2", old)
            made = made.later(3_600)
        body = problem.render(self.chart, place, entries, made, self.serial.control_id(made))
        self._write("PPR-01", "-", NO_ORDER, made, "-", "1", body)

    def _visit(self) -> None:
        place = self._clinic()
        if "ADT-12" in self.sends:
            self._reception(place)
        if self.left and "OML-11" in self.sends and self.rng.random() < _LAB_SHARE:
            self._lab(place)
        if self.left and "OMP-01" in self.sends and self.rng.random() < _PRESCRIPTION_SHARE:
            self._prescription(place)

    def _reception(self, place: Place) -> None:
        made = self._moment(30_600, 36_000)
        body = adt.reception(self.chart, place, made, self.serial.control_id(made))
        self._write("ADT-12", day(self.day), NO_ORDER, made, self.doctor.department, "1", body)

    def _stay(self) -> None:
        """Admission, results and prescriptions on the ward, discharge. The last stay may still be open."""
        place = self._bed()
        department = self.doctor.department
        made = self._moment(36_000, 39_600)
        cancelled = self._fate() == "deleted"
        body = adt.admission(self.chart, place, made, self.serial.control_id(made))
        self._write("ADT-22", day(self.day), NO_ORDER, made, department, "0" if cancelled else "1", body)
        if cancelled:
            made = made.later(1_800)
            body = adt.admission(self.chart, place, made, self.serial.control_id(made), cancel=True)
            self._write("ADT-22", day(self.day), NO_ORDER, made, department, "0", body)
            return
        for _ in range(1 + int(self.rng.random() * 3)):
            self.day += 1 + int(self.rng.random() * 3)
            if self.left and "OML-11" in self.sends:
                self._lab(place)
            if self.left and "OMP-01" in self.sends and self.rng.random() < 0.5:
                self._prescription(place)
        self.day += 1
        if self.left and "ADT-52" in self.sends:
            made = self._moment(39_600, 43_200)
            disposition = "01" if self.rng.random() < 0.85 else "02"
            body = adt.discharge(self.chart, place, made, self.serial.control_id(made), disposition=disposition)
            self._write("ADT-52", day(self.day), NO_ORDER, made, department, "1", body)

    def _lab(self, place: Place) -> None:
        order = self.serial.order()
        report = lab.draw(self.rng, self.chart, order, self.day, 28_800 + int(self.rng.random() * 7_200))
        fate = self._fate()
        made = self._moment(39_600, 57_600)
        department = self.doctor.department
        if fate == "superseded":
            old = lab.render(self.chart, place, report.preliminary(), made, self.serial.control_id(made), status="P")
            self._write("OML-11", day(self.day), order, made, department, "2", old)
            made = made.later(7_200)
        body = lab.render(self.chart, place, report, made, self.serial.control_id(made))
        self._write("OML-11", day(self.day), order, made, department, "0" if fate == "deleted" else "1", body)
        if fate == "deleted":
            made = made.later(900)
            body = lab.render(self.chart, place, report, made, self.serial.control_id(made), control="CA")
            self._write("OML-11", day(self.day), order, made, department, "0", body)

    def _prescription(self, place: Place) -> None:
        order = self.serial.order()
        ordered = prescription.draw(self.rng, self.chart, order, self.day, 36_000 + int(self.rng.random() * 7_200))
        fate = self._fate()
        made = self._moment(43_200, 57_600)
        department = self.doctor.department
        if fate == "superseded":
            shorter = ordered._replace(days=3)
            old = prescription.render(self.chart, place, shorter, made, self.serial.control_id(made))
            self._write("OMP-01", day(self.day), order, made, department, "2", old)
            made = made.later(1_800)
        body = prescription.render(self.chart, place, ordered, made, self.serial.control_id(made))
        self._write("OMP-01", day(self.day), order, made, department, "0" if fate == "deleted" else "1", body)
        if fate == "deleted":
            made = made.later(900)
            body = prescription.render(self.chart, place, ordered, made, self.serial.control_id(made), control="CA")
            self._write("OMP-01", day(self.day), order, made, department, "0", body)
