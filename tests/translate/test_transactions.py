"""Files of the transaction storage: the same as the files of the standardised storage, and what is wrong with them."""

from gateway.translate.sources import choose, read_file
from gateway.translate.transactions import tombstone
from tests.codec.test_transaction_storage import FIELDS, head
from tests.translate.messages import FACILITIES, OID, er7, file_name

FILE = "/t/2024/TR_20240601000000000_00001.DAT"
PATIENT = FIELDS[1]


def lab(order: str = "000000000000777") -> bytes:
    return er7("OML-11", f"SPM|1|S1|||||||||||||||20240601\rOBR|1|{order}\rOBX|1|ST|1^x^99X||値||||||F")


def test_a_record_is_what_its_file_is() -> None:
    name = file_name("OML-11", "000000000000777")
    fields = name.split("_")
    data = head("tab", "1310000001", *fields[:-1], "INS") + b"\r\n" + lab()
    (one,) = read_file(data, FILE, FACILITIES)
    folder = f"/s/1310000001/{fields[0][:3]}/{fields[0][3:6]}/{fields[0]}/{fields[1]}/OML-11"
    (stored,) = read_file(lab(), f"{folder}/{name}", FACILITIES)
    assert one.resources == stored.resources and one.key == stored.key and one.sha256 == stored.sha256
    assert one.flag == stored.flag == "1" and one.facility == OID
    assert one.message_offset == data.index(b"MSH")


def test_a_deletion_without_a_message_is_a_tombstone() -> None:
    (one,) = read_file(head("tab", *FIELDS[:-1], "DEL") + b"\r\n", FILE, FACILITIES)
    assert one.tombstone and one.flag == "0" and one.rejected is None and one.resources == ()
    assert one.key == FIELDS[1:5] and one.facility == OID
    assert one.to_bundle("transaction")["type"] == "transaction"


def test_a_tombstone_has_the_key_of_what_it_deletes_however_the_order_is_written() -> None:
    (one,) = read_file(head("tab", *FIELDS[:4], "777", *FIELDS[5:-1], "DEL") + b"\r\n", FILE, FACILITIES)
    assert one.key[3] == "000000000000777"
    assert one.name is not None
    assert tombstone(one.name, FACILITIES, "1.2.3", "1310000001").facility == "1.2.3"


def test_a_record_of_another_patient_than_its_head_is_quarantined() -> None:
    data = head("tab", FIELDS[0], "0000099999", *FIELDS[2:]) + b"\r\n" + lab()
    (one,) = read_file(data, FILE, FACILITIES)
    assert one.rejected is not None and one.rejected.code == "patient-mismatch"


def test_a_broken_record_does_not_spoil_the_others() -> None:
    good = head("tab") + b"\r\n" + er7("OML-11", "OBR|1|777", pid=f"PID|1||{PATIENT}")
    bad = head("tab", *FIELDS[:4], "000000000000778", *FIELDS[5:]) + b"\r\nno message\r"
    made = read_file(good + bad + good.replace(b"000000000000777", b"000000000000779"), FILE, FACILITIES)
    assert [one.error.code if one.error else "" for one in made] == ["", "not-hl7", ""]
    assert made[1].name is not None and made[1].name.order_no == "000000000000778"


def test_what_holds_no_record_is_said() -> None:
    (one,) = read_file(b"nothing", FILE, FACILITIES)
    assert one.error is not None and one.error.code == "not-transactions"


def test_only_the_name_makes_a_transaction_file() -> None:
    assert choose(head("tab"), FILE).name == "ss-mix2-transactions"
    assert choose(head("tab"), "/t/2024/other.DAT").name == "ss-mix2"
