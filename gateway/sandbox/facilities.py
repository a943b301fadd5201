"""Hospitals that do not exist: who sends, under which authority, with which habits."""

from dataclasses import dataclass

ALL_TYPES = frozenset({"ADT-00", "ADT-12", "ADT-22", "ADT-52", "PPR-01", "OMP-01", "OML-11"})


@dataclass(frozen=True, slots=True)
class Doctor:
    id: str
    family: str
    given: str
    department: str
    """Code of user table 0069 (診療科)."""

    @property
    def xcn(self) -> str:
        """HL7 v2.5 2.A.88 with name type L (legal) and representation I (kanji)."""
        return f"{self.id}^{self.family}^{self.given}^^^^^^^L^^^^^I"


@dataclass(frozen=True, slots=True)
class FacilityProfile:
    """One hospital and the habits of its system."""

    oid: str
    """Assigning authority of its patient numbers (ISO OID)."""
    namespace: str
    """MSH-4."""
    name: str
    institution: str
    """10-digit medical institution code (医療機関コード): prefecture 2, score table 1, number 7."""
    postcode: str
    address: str
    phone: str
    departments: tuple[tuple[str, str], ...]
    doctors: tuple[Doctor, ...]
    sends: frozenset[str] = ALL_TYPES
    """SS-MIX2 data types this hospital writes. ADT-00 always, and ADT-12 where chance chose nothing else."""
    first_number: int = 1000037
    """Local number of its first patient; the next ones follow in steps of 37."""
    duration_unit: str = "D&日&ISO+"
    """Unit of TQ1-6; both `D&日&ISO+` and a bare `d` are common."""

    def patient_number(self, index: int) -> str:
        """10 digits, zero padded."""
        return f"{self.first_number + 37 * index:010d}"


_DEPARTMENTS = (("01", "内科"), ("06", "消化器科"), ("10", "外科"), ("11", "整形外科"))

TOKYO = FacilityProfile(
    oid="1.2.392.200119.99999.2",
    namespace="TOKYO-HP",
    name="架空東京総合病院",
    institution="1310000001",
    postcode="000-0001",
    address="東京都架空区見本町１丁目１番１号",
    phone="000-0000-0001",
    departments=_DEPARTMENTS,
    doctors=(
        Doctor("1301", "例示", "一郎", "01"),
        Doctor("1302", "模擬", "京子", "06"),
        Doctor("1303", "想定", "実", "10"),
        Doctor("1304", "雛形", "春日", "11"),
    ),
)

OSAKA = FacilityProfile(
    oid="1.2.392.200119.99999.22",
    namespace="OSAKA-HP",
    name="架空大阪医療センター",
    institution="2710000001",
    postcode="000-0011",
    address="大阪府架空市見本通２丁目２番２号",
    phone="000-0000-0002",
    departments=_DEPARTMENTS,
    doctors=(
        Doctor("2701", "仮本", "清", "01"),
        Doctor("2702", "仮村", "和子", "06"),
        Doctor("2703", "仮井", "修", "10"),
    ),
)

NAGASAKI = FacilityProfile(
    oid="1.2.392.200119.99999.42",
    namespace="NAGASAKI-HP",
    name="架空長崎病院",
    institution="4210000001",
    postcode="000-0021",
    address="長崎県架空市見本坂３丁目３番３号",
    phone="000-0000-0003",
    departments=_DEPARTMENTS,
    doctors=(Doctor("4201", "仮沢", "健", "01"), Doctor("4202", "仮木", "節子", "11")),
    duration_unit="d",
)

FACILITIES = {"tokyo": TOKYO, "osaka": OSAKA, "nagasaki": NAGASAKI}
