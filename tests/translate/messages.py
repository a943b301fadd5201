"""Small messages for tests: a test writes the segments it is about, and only the fields it needs."""

from typing import Any

from gateway.model.identity import Authority
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.sources import read_file

OID = "1.2.392.200119.99999.2"
INSTITUTION = "1310000001"
MEDICAL_ID = "1.2.392.200119.99999.3"
INSURER = "1.2.392.200119.99999.4"

HOSPITAL = Authority(OID, "TOKYO-HP", aliases=("TKY",), institution=INSTITUTION)
FACILITIES = Facilities(
    [
        HOSPITAL,
        Authority(MEDICAL_ID, "MEDICAL-ID", kind="medical-id"),
        Authority(INSURER, kind="insurer"),
    ]
)

MESSAGE_TYPES = {
    "ADT-00": "ADT^A08^ADT_A01",
    "ADT-12": "ADT^A04^ADT_A01",
    "ADT-22": "ADT^A01^ADT_A01",
    "ADT-52": "ADT^A03^ADT_A03",
    "PPR-01": "PPR^ZD1^PPR_ZD1",
    "OMP-01": "RDE^O11^RDE_O11",
    "OMP-02": "RDE^O11^RDE_O11",
    "OMP-11": "RAS^O17^RAS_O17",
    "OMP-12": "RAS^O17^RAS_O17",
    "RDS": "RDS^O13^RDS_O13",
    "OML-11": "OUL^R22^OUL_R22",
    "OMG-01": "OMG^O19^OMG_O19",
    "OMG-02": "OMG^O19^OMG_O19",
    "OMG-03": "OMG^O19^OMG_O19",
    "OMG-11": "OMI^Z23^OMI_Z23",
    "OMG-12": "OMI^Z23^OMI_Z23",
    "OMG-13": "ORU^R01^ORU_R01",
}
PID = "PID|1||0000012345^^^^PI||見本^結子^^^^^L^I||19700405|F"


def msh(data_type: str, sender: str = "TOKYO-HP", time: str = "20240601120000") -> str:
    kind = MESSAGE_TYPES.get(data_type, data_type)
    return f"MSH|^~\\&|HIS|{sender}|GW|RCV|{time}||{kind}|20240601000001|P|2.5||||||~ISO IR87||ISO 2022-1994"


def er7(data_type: str, *segments: str, head: str = "", pid: str = PID, encoding: str = "iso2022_jp") -> bytes:
    """The bytes of one message, segments ending with CR: MSH and PID stand before the segments given."""
    lines = [head or msh(data_type), *([pid] if pid else []), *segments]
    return ("\r".join(lines) + "\r").encode(encoding)


def file_name(data_type: str, order: str = "999999999999999", date: str = "20240601", flag: str = "1") -> str:
    """Name of a storage file of the patient in `PID`."""
    date = "-" if data_type in ("ADT-00", "PPR-01") else date
    return f"0000012345_{date}_{data_type}_{order}_20240601120000000_01_{flag}"


def read(data_type: str, *segments: str, explain: bool = True, **parts: Any) -> Converted:
    """One message read from a storage file of its data type. `parts`: head, pid and encoding of `er7`, order, date and
    flag of `file_name`, `facilities` and `facility` of `read_file`."""
    content = er7(data_type, *segments, **{key: parts.pop(key) for key in ("head", "pid", "encoding") if key in parts})
    facilities = parts.pop("facilities", FACILITIES)
    facility = parts.pop("facility", "")
    made = read_file(content, file_name(data_type, **parts), facilities, facility=facility, explain=explain)
    assert len(made) == 1
    return made[0]


def only(converted: Converted, resource_type: str) -> dict[str, Any]:
    """The one resource of a type."""
    found = every(converted, resource_type)
    assert len(found) == 1, f"{len(found)} {resource_type}"
    return found[0]


def every(converted: Converted, resource_type: str) -> list[dict[str, Any]]:
    assert converted.error is None, converted.error
    return [resource for resource in converted.resources if resource["resourceType"] == resource_type]


def codes(converted: Converted) -> list[str]:
    """The issue codes, in order."""
    return [issue.code for issue in converted.translated.issues]


def places(converted: Converted, code: str) -> list[str]:
    return [issue.where for issue in converted.translated.issues if issue.code == code]


def residue(converted: Converted) -> dict[str, str]:
    """Place -> value of what no rule took; a place with several values joins them by a space."""
    found: dict[str, str] = {}
    for where, value in converted.translated.residue:
        found[where] = f"{found[where]} {value}" if where in found else value
    return found


def unmapped(converted: Converted) -> set[str]:
    return {entry.where for entry in converted.translated.unmapped}


def sources(converted: Converted) -> set[str]:
    """Source places of the lineage."""
    return {entry.source for entry in converted.translated.lineage}
