"""Lineage (由来) of what an exchange file became, for `convert --explain`: each element with the JSON pointer it came from."""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.model.outcome import CodeUse, Lineage
from gateway.translate.exchange_spec.envelope import Envelope, Person
from gateway.translate.exchange_spec.findings import pointer
from gateway.translate.exchange_spec.items import DEVICE, code_lists
from gateway.translate.exchange_spec.observations import CODES, Fragment, Subject, views
from gateway.translate.exchange_spec.people import consortium_id
from gateway.translate.exchange_spec.records import Record

CITE: Final = "健康情報等交換規約"
_ELEMENTS: Final = {
    "observation_time": "effectiveDateTime",
    "update_time": "issued",
    "measurement_position_code": "bodySite",
    "measurement_position": "bodySite",
    **dict.fromkeys((*CODES, "total_active_duration"), "extension"),
}
"""Items that every Observation of a record says."""
_DEVICE: Final = dict(zip(DEVICE, ("manufacturer", "modelNumber", "serialNumber"), strict=True))


def of_file(subject: Subject, envelope: Envelope, person: Person, provenance: Fragment) -> Iterator[Lineage]:
    """Header and person."""
    record = f"Provenance/{provenance['id']}"
    for name, target in (
        ("format_version", f"{record}.extension"),
        ("send_time", f"{record}.recorded"),
        ("consortium_id", f"Organization/{consortium_id(subject)}.identifier"),
    ):
        yield _row(target, pointer(name), f"header#{name}", "2.1")
    yield _row(f"Patient/{subject.patient}.identifier", f"{person.where}/person_id", "header#person_id", "2.1")
    for key in envelope.unknown:
        yield _row(f"{record}.extension", key, "header#unmapped", "2")
    for key in person.unknown:
        yield _row(f"{record}.extension", person.where + key, "person#unmapped", "2")


def of_record(subject: Subject, record: Record, made: Sequence[Fragment]) -> Iterator[Lineage]:
    """One record; `made`: its Observations, the main one first."""
    shown = views()[record.type.name]
    own = {str(one["identifier"][0]["value"]).rpartition("#")[2]: f"Observation/{one['id']}" for one in made}
    main = f"Observation/{made[0]['id']}"
    components = [item for item, view in shown.items() if view.part == "component" and item in record.values]
    for item in record.values:
        targets = [f"{one}.{_ELEMENTS[item]}" for one in own.values()] if item in _ELEMENTS else []
        if item in components:
            targets.append(f"{main}.component[{components.index(item)}].valueQuantity")
        elif item in own:
            targets.append(f"{own[item]}.valueQuantity")
        elif item in _DEVICE:
            targets.append(f"Device/{subject.device(record)}.{_DEVICE[item]}")
        elif item == "test_lab_id":
            targets.append(f"Organization/{subject.lab(str(record.values[item]))}.identifier")
        elif item == "measurement_method_code":
            targets.append(f"{main}.code")
        for target in targets:
            yield _of_item(subject, record, item, target)
    for key in record.unknown:
        rule = f"{record.type.name}#unmapped"
        yield _row(f"{main}.extension", record.where + pointer(key), rule, "2")


def _of_item(subject: Subject, record: Record, item: str, target: str) -> Lineage:
    codes: tuple[CodeUse, ...] = ()
    table, value = "", str(record.values[item])
    if words := code_lists().get(item, {}).get(value):
        table = "exchange-spec/code-lists"
        codes = (CodeUse(table, value, words),)
    elif item == "measurement_method_code" and target.endswith(".code"):
        table = "exchange-spec/hba1c-methods"
        codes = (CodeUse(table, value, subject.registers.hba1c_code(value)),)
    cite = record.type.items[item].cite
    return _row(target, record.place(item), f"{record.type.name}#{item}", cite, table, codes)


def _row(target: str, source: str, rule: str, cite: str, table: str = "", codes: tuple[CodeUse, ...] = ()) -> Lineage:
    return Lineage(target, source, f"exchange-spec/{rule}", table, f"{CITE} {cite}", codes=codes)
