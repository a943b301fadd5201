"""The segments every message shares: MSH, PID, PV1, ORC (HL7 v2.5, SS-MIX2 guideline), as text without the segment end."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from gateway.sandbox.facilities import Doctor, FacilityProfile
from gateway.sandbox.people import MEDICAL_ID_NAMESPACE, MEDICAL_ID_OID, Person

CHARACTER_SET = "~ISO IR87||ISO 2022-1994"
"""MSH-18 to MSH-20 of the standard: ASCII first, JIS X 0208 by ISO 2022."""
PROFILE = "SS-MIX2_1.20_h^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO"

_FIRST_DAY = date(2014, 1, 6)
_DAYS = tuple((_FIRST_DAY + timedelta(days=n)).strftime("%Y%m%d") for n in range(25_000))


def day(number: int) -> str:
    """YYYYMMDD of a day number; day 0 is 2014-01-06. The sandbox knows no today."""
    return _DAYS[number]


def day_number(year: int, month: int, day_of_month: int) -> int:
    return (date(year, month, day_of_month) - _FIRST_DAY).days


def at(number: int, second: int) -> str:
    """YYYYMMDDHHMMSS"""
    return f"{_DAYS[number]}{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


class Moment(NamedTuple):
    """When a file version was made: day number, second of the day, millisecond."""

    day: int
    second: int
    millisecond: int

    @property
    def seconds(self) -> str:
        return at(self.day, self.second)

    @property
    def timestamp(self) -> str:
        """17 digits: field 5 of the file name."""
        return f"{at(self.day, self.second)}{self.millisecond:03d}"

    @property
    def ts(self) -> str:
        """HL7 TS with milliseconds."""
        return f"{at(self.day, self.second)}.{self.millisecond:03d}"

    def later(self, seconds: int) -> "Moment":
        return Moment(self.day, min(self.second + seconds, 86399), self.millisecond)


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient at one facility, with the segments that never change."""

    facility: FacilityProfile
    person: Person
    number: str
    pid: str
    facility_fields: str
    """ORC-21 to ORC-23."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and by whom the patient is seen."""

    doctor: Doctor
    department: str
    """CE of user table 0069, e.g. `01^内科^HL70069`."""
    inpatient: bool
    location: str
    """PL: `01^^^^^C` for a clinic, `3E^301^2^^^N` for a bed."""

    @property
    def pv1(self) -> str:
        return f"PV1|0001|{'I' if self.inpatient else 'O'}|{self.location}||||{self.doctor.xcn}"

    @property
    def order_type(self) -> str:
        """ORC-29."""
        return "I^入院患者オーダ^HL70482" if self.inpatient else "O^外来患者オーダ^HL70482"


def segment(name: str, fields: dict[int, str]) -> str:
    """A segment from its numbered fields: segment("EVN", {2: "20240101"}) is `EVN||20240101`."""
    values = [name] + [""] * max(fields)
    for number, value in fields.items():
        values[number] = value
    return "|".join(values)


def msh(facility: FacilityProfile, moment: Moment, message_type: str, control_id: str) -> str:
    namespace = facility.namespace
    return (
        f"MSH|^~\\&|HIS|{namespace}|SSMIX2|{namespace}|{moment.ts}||{message_type}|{control_id}|P|2.5"
        f"||||||{CHARACTER_SET}|{PROFILE}"
    )


def xpn(family: str, given: str, family_kana: str, given_kana: str) -> str:
    """Kanji name, then kana: XPN.7 = L (legal), XPN.8 = I (ideographic) or P (phonetic)."""
    return f"{family}^{given}^^^^^L^I~{family_kana}^{given_kana}^^^^^L^P"


def xad(postcode: str, address: str) -> str:
    """XAD with the whole address in XAD.8."""
    return f"^^^^{postcode}^JPN^H^{address}"


def chart(facility: FacilityProfile, person: Person, index: int) -> Chart:
    number = facility.patient_number(index)
    return Chart(
        facility=facility,
        person=person,
        number=number,
        pid=pid(person, number),
        facility_fields=(
            f"{facility.name}|^^^^{facility.postcode}^JPN^^{facility.address}|^^^^^^^^^^^{facility.phone}"
        ),
    )


def pid(person: Person, number: str) -> str:
    """PID-3: the facility's own number first, then the shared medical id (医療等ID) with its authority."""
    ids = f"{number}^^^^PI"
    if person.medical_id:
        ids += f"~{person.medical_id}^^^{MEDICAL_ID_NAMESPACE}&{MEDICAL_ID_OID}&ISO^JHN"
    name = xpn(person.family, person.given, person.family_kana, person.given_kana)
    return (
        f"PID|0001||{ids}||{name}||{person.birth_date}|{person.sex}|||{xad(person.postcode, person.address)}"
        f"||^PRN^PH^^^^^^^^^{person.phone}"
    )


def orc(
    chart: Chart, place: Place, control: str, order: str, filler: str, group: str, status: str, entered: str
) -> str:
    """ORC-1 control, 2 order, 3 filler, 4 group, 5 status, 9 entered; people, department and facility from the place."""
    doctor = place.doctor.xcn
    return (
        f"ORC|{control}|{order}|{filler}|{group}|{status}||||{entered}|{doctor}||{doctor}|{place.location}"
        f"||||{place.department}||||{chart.facility_fields}||||||{place.order_type}"
    )
