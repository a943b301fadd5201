"""gateway/translate/routing.py: the data type of a message without a storage name."""

import pytest

from gateway.codec.er7 import Message
from gateway.translate.routing import VITAL_SIGNS, data_type, of_laboratory
from gateway.translate.structures import OTHER, STRUCTURES, structure_of
from tests.translate.goldens import parse
from tests.translate.messages import er7


def message(kind: str, *segments: str) -> Message:
    return parse(er7(kind, *segments))


@pytest.mark.parametrize(
    ("kind", "segments", "expected"),
    [
        ("RDE^O11", ("RXE||103831601^x^HOT9|1", "RXR|PO^口^HL70162"), "OMP-01"),
        ("RDE^O11", ("RXE||103831601^x^HOT9|1", "RXR|SC^皮下^HL70162"), "OMP-01"),  # 自己注射 is a prescription
        ("RDE^O11", ("RXE||00^一般^JHSI0002|1", "RXR|PO^口^HL70162"), "OMP-02"),
        ("RDE^O11", ("RXE||103831601^x^HOT9|1", "RXR|IV^静脈^HL70162", "RXC|A|1^y^99X|1"), "OMP-02"),
        ("RDE^O11", ("RXE||103831601^x^HOT9|1", "RXR|PO^口^HL70162", "RXC|A|1^y^99X|1"), "OMP-01"),
        ("OML^O21", ("OBR||1||E1^検査^99O",), "OML-01"),
        ("OUL^R21", ("OBR||1||E1^検査^99O",), "OML-11"),
        ("OUL^R24", ("OBR||1||E1^検査^99O",), "OML-11"),
        ("OMG^O19", ("OBR||1||1000000000000000^Ｘ線^JJ1017",), "OMG-01"),
        ("OMG^O19", ("OBR||1||11000000000^検査^LENDO",), "OMG-02"),
        ("OMG^O19", ("OBR||1||9A110^心電図^JC10",), "OMG-03"),
        ("OMG^O19", ("OBR||1||X1^胸部^99XYZ^9A110^心電図^JC10",), "OMG-03"),
        ("OMG^O19", ("OBR||1||X1^胸部^99XYZ", "OBR||2||11^検査^LENDO"), "OMG-02"),
        ("OMG^O19", ("OBR||1||X1^胸部^99XYZ",), "OMG-01"),
        ("OMG^O19", (), "OMG-01"),
        ("OMI^Z23", ("OBR||1||1000000000000000^Ｘ線^JJ1017",), "OMG-11"),
        ("OMI^Z23", ("OBR||1||11000000000^検査^LENDO",), "OMG-12"),
        ("OMI^Z23", ("OBR||1||X1^内視鏡^99XYZ", "IPC|A||1.2.3||ES^^DCM"), "OMG-12"),
        ("OMI^Z23", ("OBR||1||9A110^心電図^JC10",), "OMG-11"),
        ("ORU^R01", ("OBX|1|NM|32769^心拍数^99MFR||67",), "OMG-13"),
        ("ORU^R01", ("OBX|1|TX|9A100&IMP^所見^JC10||x",), "OMG-13"),
        ("ORU^R01", ("OBX|1|NM|3D045000002327101^HbA1c^JC10||6.5",), "OML-11"),
        ("ORU^R01", ("OBX|1|NM|L1^血糖^99XYZ^3D010000002327201^血糖^JLAC10||98",), "OML-11"),
        ("ORU^R01", ("SPM|1|S1||019", "OBX|1|NM|L1^x^99XYZ||1"), "OML-11"),
        ("ORU^R01", ("OBX|1|NM|9P300000000000001^脈拍^JC10||60", "OBX|2|NM|9A751000000000001^x^JC10||1"), VITAL_SIGNS),
        ("ORU^R01", ("OBX|1|NM|9P300000000000001^脈拍^JC10||60", "OBX|2|NM|9A110^x^JC10||1"), "OMG-13"),
        ("ORU^R30", ("OBX|1|NM|V1^尿回数^99ZL||1",), VITAL_SIGNS),
        ("ORU^R30", ("OBX|1|NM|3D010000002327201^血糖^JC10||98",), "OML-11"),
        ("ORU^R30", (), VITAL_SIGNS),
    ],
)
def test_code_systems_and_codes_decide(kind: str, segments: tuple[str, ...], expected: str) -> None:
    assert data_type(message(kind, *segments)) == expected


def test_one_laboratory_test_makes_a_result_one_of_the_laboratory() -> None:
    mixed = message("ORU^R01", "OBX|1|NM|9A110^心電図^JC10||1", "OBX|2|NM|3D010000002327201^血糖^JC10||98")
    assert of_laboratory(mixed)
    assert data_type(mixed) == "OML-11"


@pytest.mark.parametrize(
    "folder", [VITAL_SIGNS, "^（観察）^^8716-3^バイタル^LN", "L-OBSERVATIONS^OBSERVATIONS^99ZL01^^^"]
)
def test_a_folder_of_the_senders_own_is_read_by_what_stands_in_it(folder: str) -> None:
    assert structure_of(folder, message("ORU^R30")) is STRUCTURES[VITAL_SIGNS]


def test_a_type_of_the_storage_decides_before_msh_9() -> None:
    assert structure_of("OMG-02", message("OMG^O19", "OBR||1||1^x^JJ1017")) is STRUCTURES["OMG-02"]


def test_what_nobody_knows_is_kept() -> None:
    assert structure_of("X^Y^Z", message("XYZ^Q99")) is OTHER
