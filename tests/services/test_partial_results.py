"""Results of one order that come over MLLP in messages of their own: each brings its groups and replaces only those."""

import itertools
from pathlib import Path
from typing import Any

import orjson

from gateway.codec.mllp import Block
from gateway.ihe._v2 import answer
from gateway.model.caller import UNRESTRICTED
from gateway.storage.opening import Storage
from tests.v2_parts import node, rows

ORDER = "000000000000501"
GLUCOSE = "3D010000002327101^グルコース^JC10"
HEMOGLOBIN = "2A030000001930101^ヘモグロビン^JC10"


def group(panel: str, test: str, value: str, *, status: str = "F", order: str = ORDER, sample: str = "S1") -> list[str]:
    return [
        f"SPM|1|{sample}||023^血清^JC10|||||||||||||20260102083000",
        f"OBR|1|{order}||{panel}^検査^99LAB|||20260102083000||||||||||||||||||{status}",
        f"ORC|SC|{order}",
        f"OBX|1|NM|{test}||{value}|mg/dL|||||{status}",
    ]


def message(control_id: str, time: str, *groups: list[str]) -> bytes:
    lines = [
        f"MSH|^~\\&|LAB|TOKYO-HP|GW|REGION|{time}||OUL^R22^OUL_R22|{control_id}|P|2.5||||||~ISO IR87",
        "PID|1||0001^^^^PI||見本^花子^^^^^L^I||19700405|F",
    ]
    return ("\r".join([*lines, *itertools.chain(*groups)]) + "\r").encode("iso2022_jp")


FIRST = message("P1", "20260102100000", group("A", GLUCOSE, "98"))
SECOND = message("P2", "20260102110000", group("B", HEMOGLOBIN, "13.2"))
CORRECTED = message("P3", "20260102120000", group("A", GLUCOSE, "89", status="C"))


def shown(parts: Storage, type_: str) -> list[dict[str, Any]]:
    found = (orjson.loads(one.body) for one in parts.resources.export(UNRESTRICTED) if one.type == type_)
    return sorted(found, key=lambda one: str(one["id"]))


def after(folder: Path, *messages: bytes) -> tuple[list[str], list[bytes]]:
    """Values shown and the export without versions, after these messages in this order."""
    with node(folder) as (services, parts):
        for one in messages:
            assert answer(Block(one), "a", services).answer == "AA"
        values = sorted(str(one["valueQuantity"]["value"]) for one in shown(parts, "Observation"))
        for report in shown(parts, "DiagnosticReport"):
            for part in (*report["result"], *report.get("specimen", ())):
                type_, id_ = part["reference"].split("/")
                assert parts.resources.read(type_, id_, UNRESTRICTED) is not None
        lines = []
        for exported in parts.resources.export(UNRESTRICTED):
            resource = orjson.loads(exported.body)
            del resource["meta"]["versionId"], resource["meta"]["lastUpdated"]
            lines.append(orjson.dumps(resource))
        return values, lines


def test_groups_of_one_order_in_messages_of_their_own_all_stay(tmp_path: Path) -> None:
    assert after(tmp_path, FIRST, SECOND)[0] == ["13.2", "98"]


def test_a_corrected_group_replaces_itself_with_history_and_not_the_others(tmp_path: Path) -> None:
    with node(tmp_path) as (services, parts):
        for one in (FIRST, SECOND, CORRECTED):
            assert answer(Block(one), "a", services).answer == "AA"
        found = {str(one["valueQuantity"]["value"]): one for one in shown(parts, "Observation")}
        assert found.keys() == {"13.2", "89"} and found["89"]["status"] == "corrected"
        sql = "SELECT count(*) FROM resource_version v JOIN resource r ON r.n = v.n WHERE r.type = 'Observation'"
        assert rows(parts, sql) == [(1,)]
        # All three messages are still told of: each has its Provenance, or its place in the history of one.
        assert len(shown(parts, "Provenance")) == 2
        assert rows(
            parts, "SELECT kind, count(*) FROM registry_object WHERE status LIKE '%Approved' GROUP BY kind"
        ) == [
            ("bundle", 2),
            ("original", 2),
            ("set", 3),
        ]


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    wanted = after(tmp_path / "0", FIRST, SECOND, CORRECTED)
    for n, order in enumerate(itertools.permutations((FIRST, SECOND, CORRECTED)), start=1):
        assert after(tmp_path / str(n), *order) == wanted


def test_a_group_that_grows_is_one_group(tmp_path: Path) -> None:
    preliminary = message("P1", "20260102100000", group("A", GLUCOSE, "98", status="P"))
    grown = group("A", GLUCOSE, "98")
    grown.append("OBX|2|NM|3D045000001906202^HbA1c^JC10||5.8|%|||||F")
    assert after(tmp_path, preliminary, message("P2", "20260102110000", grown))[0] == ["5.8", "98"]


def test_a_test_that_a_later_message_leaves_out_of_its_group_is_gone(tmp_path: Path) -> None:
    both = [*group("A", GLUCOSE, "98"), "OBX|2|NM|3D045000001906202^HbA1c^JC10||5.8|%|||||F"]
    later = message("P2", "20260102110000", group("A", GLUCOSE, "98"))
    assert after(tmp_path, message("P1", "20260102100000", both), later)[0] == ["98"]


def test_one_order_of_several_in_a_message_may_come_again_alone(tmp_path: Path) -> None:
    """Each group goes by its own order number and specimen day, not by those of the message's first."""
    other = "000000000000777"
    both = message(
        "P1", "20260102100000", group("A", GLUCOSE, "98"), group("A", GLUCOSE, "120", order=other, sample="S2")
    )
    again = message("P2", "20260102110000", group("A", GLUCOSE, "121", status="C", order=other, sample="S2"))
    assert after(tmp_path, both, again)[0] == ["121", "98"]


def test_specimens_without_a_number_are_not_taken_for_one(tmp_path: Path) -> None:
    """SPM-1 counts from 1 in each message; another material under it is another specimen."""
    urine = [line.replace("023^血清", "001^尿(含むその他)") for line in group("B", HEMOGLOBIN, "1", sample="")]
    with node(tmp_path) as (services, parts):
        for one in (
            message("P1", "20260102100000", group("A", GLUCOSE, "98", sample="")),
            message("P2", "20260102110000", urine),
        ):
            assert answer(Block(one), "a", services).answer == "AA"
        assert {one["type"]["coding"][0]["code"] for one in shown(parts, "Specimen")} == {"023", "001"}


def ecg(control_id: str, time: str, *orders: tuple[str, str]) -> bytes:
    """Physiology (ORU^R01): one OBR an order."""
    groups = [
        [
            f"ORC|RE|{order}",
            f"OBR|1|{order}||9A110000000000000^心電図^JC10|||20260102083000||||||||||||||||||F",
            f"OBX|1|NM|9A110000001999901^心拍数^JC10||{value}|/min|||||F",
        ]
        for order, value in orders
    ]
    return message(control_id, time, *groups).replace(b"OUL^R22^OUL_R22", b"ORU^R01^ORU_R01")


def test_an_examination_of_several_orders_may_come_again_alone(tmp_path: Path) -> None:
    both = ecg("P1", "20260102100000", ("1", "60"), ("2", "70"))
    assert after(tmp_path / "a", both, ecg("P2", "20260102110000", ("2", "71")))[0] == ["60", "71"]
    assert after(tmp_path / "b", both, ecg("P2", "20260102110000", ("3", "90")))[0] == ["60", "70", "90"]
