"""Kinds of input beside the storages: every message type, exchange files (健康情報等交換規約), medication notebooks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from gateway.codec import jahistc
from gateway.translate.context import Facilities
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.envelope import parse, read
from gateway.translate.exchange_spec.source import checked_persons
from tests.bench import material
from tests.bench.measure import Figure, best_of
from tests.bench.translating import FILES_A_SECOND, convert

GOLDEN = Path(__file__).parents[1] / "golden"
NOTEBOOK = Path(__file__).parents[2] / "fixtures" / "samples" / "notebook.csv"
RECORDS_A_SECOND = 20_000
"""Budget of reading and checking exchange records on one core."""
_FIRST = datetime(2017, 1, 1, 7, 30)  # noqa: DTZ001 - the convention has local times without a zone


def every_type(folder: Path, size: material.Size) -> Iterator[Figure]:
    """One message of each golden, all types together, on one core."""
    messages = [(file.read_bytes(), str(file)) for file in sorted(GOLDEN.glob("*/*/in.hl7"))]
    known = material.facilities()

    def all_of_them() -> None:
        for data, path in messages:
            convert(data, path, known)

    all_of_them()
    material.settle()
    spent = best_of(all_of_them, size.runs).cpu
    note = f"{len(messages)} messages of {len({Path(p).parent.parent for _, p in messages})} types, each another"
    yield Figure("every type", len(messages) / spent, "messages/s", FILES_A_SECOND, at_least=True, note=note)


def exchange(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Records a second: reading with checks, and all the way to FHIR JSON."""
    records = size.files
    data = exact.dumps(_document(records))
    registers = Facilities().exchange
    spent = best_of(lambda: checked_persons(read(*parse(data), registers), registers), size.runs).cpu
    note = f"{records} records of four kinds in {len(data) / 2**20:.1f} MiB, {spent / records * 1e6:.0f} µs a record"
    yield Figure("exchange, read and check", records / spent, "records/s", RECORDS_A_SECOND, at_least=True, note=note)
    spent = best_of(lambda: convert(data, "exchange.json", Facilities()), min(size.runs, 3)).cpu
    note = "to FHIR JSON, two to seven resources a record"
    yield Figure("exchange, to FHIR", records / spent, "records/s", note=note)


def _document(count: int) -> dict[str, object]:
    """Twenty persons who measure every day."""
    persons: list[dict[str, object]] = []
    for person in range(20):
        kinds: dict[str, list[dict[str, object]]] = {"weighing_scale": [], "blood_pressure": [], "activity_monitor": []}
        hba1c: list[dict[str, object]] = []
        for n in range(person, count, 20):
            kind = (n // 20) % 4
            (hba1c if kind == 3 else kinds[list(kinds)[kind]]).append(_record(kind, n))
        checkup = {"hba1c": hba1c}
        persons.append(
            {"person_id": f"P{person:07}", "healthcare_information": kinds, "health_checkup_information": checkup}
        )
    return {
        "format_version": "1.0",
        "send_time": "20300101000000000",
        "consortium_id": "TST001",
        "person_information": persons,
    }


def _record(kind: int, n: int) -> dict[str, object]:
    at = _FIRST + timedelta(minutes=n)
    common: dict[str, object] = {
        "observation_time": f"{at:%Y%m%d%H%M%S}",
        "data_input_code": "0",
        "update_time": f"{at:%Y%m%d%H%M%S}000",
    }
    device = {
        "model_manufacturer_code": "TESTMAKER",
        "model_number": "TM-100",
        "production_specification_serial": f"SN{n % 20:07}",
        "origin_of_time_code": "0",
    }
    match kind:
        case 0:
            return {**common, **device, "body_weight": exact.loads(f"{50 + n % 40}.{n % 10}")}
        case 1:
            return {**common, **device, "systolic": 110 + n % 40, "diastolic": 70 + n % 20, "pulse_rate": 60 + n % 30}
        case 2:
            activity = {"step": n % 20_000, "walk_time": n % 100, "total_active_duration": 1440}
            return {**common, **device, **activity, "calories": exact.loads(f"{n % 900}.{n % 10}")}
    return {**common, "hba1c_value": exact.loads(f"5.{n % 10}"), "test_lab_id": "LAB000000001"}


def notebook(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Notebooks a second: to FHIR JSON, and written again."""
    data = NOTEBOOK.read_bytes()
    loops = 100 if size.files > 1_000 else 5
    spent = best_of(lambda: convert(data, "notebook.csv", Facilities()), size.runs, loops).cpu
    yield Figure("notebook, to FHIR", 1 / spent, "notebooks/s", note=f"{len(data)} bytes, {spent * 1e3:.2f} ms")
    found = jahistc.parse(data)
    spent = best_of(lambda: jahistc.render(jahistc.parse(data).records), size.runs, loops).cpu
    note = f"{len(found.records)} records, {spent * 1e3:.2f} ms"
    yield Figure("notebook, read and written", 1 / spent, "notebooks/s", note=note)
