"""Exchange files for tests: one valid record a type, envelopes around them, and a strategy for valid files."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.items import Item, RecordType, record_types
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.source import read_file

SENT = "20171005210000123"
UPDATED = "20171005093000000"

DEVICE = {
    "model_manufacturer_code": "TESTMAKER",
    "model_number": "TM-100",
    "production_specification_serial": "SN0000001",
}
RECORDS: dict[str, dict[str, Any]] = {
    "activity_monitor": {
        "observation_time": "20171001000000",
        "step": 8421,
        "walk_time": 74,
        "moderate_intensity_activity": 22,
        "calories": Decimal("312.4"),
        "total_calories": Decimal("1988.0"),
        **DEVICE,
        "total_active_duration": 1440,
        "data_input_code": "0",
        "measurement_position_code": "31",
        "origin_of_time_code": "0",
        "update_time": UPDATED,
    },
    "weighing_scale": {
        "observation_time": "20171001070000",
        "body_weight": Decimal("72.50"),
        "body_fat": Decimal("24.1"),
        **DEVICE,
        "data_input_code": "0",
        "origin_of_time_code": "0",
        "update_time": UPDATED,
    },
    "blood_pressure": {
        "observation_time": "20171001071500",
        "systolic": 132,
        "diastolic": 84,
        "pulse_rate": 66,
        "measurement_position": "左上腕",
        **DEVICE,
        "data_input_code": "0",
        "origin_of_time_code": "1",
        "update_time": UPDATED,
    },
    "hba1c": {
        "observation_time": "20170928000000",
        "hba1c_value": Decimal("6.7"),
        "data_input_code": "1",
        "measurement_method_code": "000001",
        "value_criteria_code": "0",
        "test_lab_id": "LAB000000001",
        "update_time": UPDATED,
    },
    "checkup_blood_pressure": {
        "observation_time": "20170928000000",
        "systolic": 138,
        "diastolic": 88,
        "pulse_rate": 70,
        "measurement_position": "右上腕",
        "data_input_code": "0",
        "test_lab_id": "LAB000000001",
        "update_time": UPDATED,
    },
}
"""Every item of every record type, valued and valid."""

GONE = object()
"""As a value: the item is left out."""


def record(type_: str, **changes: Any) -> dict[str, Any]:
    made = {**RECORDS[type_], **changes}
    return {name: value for name, value in made.items() if value is not GONE}


def person(person_id: str = "P0000001", **arrays: Iterable[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"person_id": person_id}
    for name, records in arrays.items():
        type_ = record_types()[name]
        made.setdefault(type_.group, {})[type_.array] = list(records)
    return made


def envelope(*persons: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = {
        "format_version": "1.0",
        "send_time": SENT,
        "consortium_id": "TST001",
        "person_information": list(persons),
        **changes,
    }
    return {name: value for name, value in made.items() if value is not GONE}


def convert(document: Any, registers: Registers | None = None, path: str = "x.json") -> list[Converted]:
    data = document if isinstance(document, bytes) else exact.dumps(document)
    return read_file(data, path, Facilities(exchange=registers or Registers.of(LISTS)))


def one(type_: str, registers: Registers | None = None, **changes: Any) -> Converted:
    """A file with one record of the type."""
    (made,) = convert(envelope(person(**{type_: [record(type_, **changes)]})), registers)
    return made


def codes(*made: Converted) -> list[str]:
    """The sheet's codes of all findings but those that only say what is not configured."""
    issues = [issue for each in made for issue in (*([each.error] if each.error else []), *each.translated.issues)]
    found = [issue.text.partition(" ")[0] for issue in issues if issue.code != "facility-unknown"]
    return [code for code in found if code != "W-NO-LIST"]


def observations(made: Converted) -> dict[str, dict[str, Any]]:
    """Item -> Observation."""
    return {
        str(resource["identifier"][0]["value"]).rpartition("#")[2]: resource
        for resource in made.resources
        if resource["resourceType"] == "Observation"
    }


LISTS: dict[str, list[dict[str, str]]] = {
    "consortia": [{"consortium_id": "TST001", "name": "試験コンソーシアム"}],
    "participants": [
        {
            "consortium_id": "TST001",
            "person_id": person_id,
            "birth_month": "197001",
            "sex": "2",
            "start": "20170901",
            "end": "20180331",
        }
        for person_id in ("P0000001", "P0000002")
    ],
    "labs": [{"consortium_id": "TST001", "lab_id": "LAB000000001", "name": "試験検査所"}],
    "hba1c_methods": [
        {"method_code": "000001", "class": "HPLC", "name": "試験法"},
        {"method_code": "000002", "class": "免疫学的方法（ラテックス凝集比濁法）", "name": ""},
        {"method_code": "000003", "class": "酵素法", "name": ""},
        {"method_code": "000009", "class": "HPLC", "name": "ＪＤＳ値"},
    ],
}

# -- a strategy for valid files ---------------------------------------------------------------------------------------

_ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_days = st.integers(1, 28).map(lambda day: f"201710{day:02}")
_clocks = st.sampled_from(["000000", "073000", "235959", "120000"])
_words = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12).filter(lambda text: text.strip())
"""Any words but blanks alone: kanji, marks, `|`, `#`, `%`."""


def _numbers(item: Item) -> st.SearchStrategy[int | Decimal]:
    assert item.low is not None and item.high is not None
    if item.kind == "integer":
        return st.integers(int(item.low), int(item.high))
    places = min(2, item.decimals if item.decimals is not None else 2)
    return (
        st.decimals(item.low, item.high, places=places)
        .map(lambda value: Decimal(format(value, "f")))
        .filter(lambda value: len(str(value)) <= item.digits)
    )


def _values(item: Item) -> st.SearchStrategy[Any]:
    if item.kind in ("integer", "number"):
        return _numbers(item)
    if item.codes:
        return st.sampled_from(sorted(item.codes))
    if item.kind == "date":
        clock = st.tuples(_days, _clocks).map("".join)
        return clock if item.digits == 14 else clock.map(lambda text: text + "123")
    return _words.map(lambda text: text[: item.digits]).filter(lambda text: text.strip())


def _consistent(value: dict[str, Any]) -> bool:
    window = value.get("total_active_duration", 1440)
    spent = max(value.get("walk_time", 0), value.get("moderate_intensity_activity", 0))
    return spent <= window and value.get("systolic", 1) > value.get("diastolic", 0)


_unknown = st.dictionaries(
    st.sampled_from(["distance", "exercise", "運動量", "a/b~c"]),
    st.one_of(
        st.integers(-(10**17), 10**17),
        st.decimals(-9, 9, places=3),
        _words,
        st.booleans(),
        st.lists(st.integers(0, 9), max_size=3),
    ),
    max_size=2,
)


def _records(type_: RecordType) -> st.SearchStrategy[dict[str, Any]]:
    items = type_.items.values()
    return (
        st.fixed_dictionaries(
            {item.name: _values(item) for item in items if item.must},
            optional={item.name: _values(item) for item in items if not item.must},
        )
        .filter(_consistent)
        .flatmap(lambda value: _unknown.map(lambda more: {**value, **more}))
    )


def _key(value: dict[str, Any], type_: RecordType) -> tuple[Any, ...]:
    return (value["observation_time"], *(value.get(name) for name in type_.source))


_arrays = {
    name: st.lists(_records(type_), max_size=3, unique_by=lambda value, type_=type_: _key(value, type_))
    for name, type_ in record_types().items()
}


@st.composite
def _person(draw: st.DrawFn, person_id: str) -> dict[str, Any]:
    made = person(person_id, **draw(st.fixed_dictionaries({}, optional=_arrays)))
    for group in set(made) - {"person_id"}:
        if draw(st.booleans()):
            made[group] = draw(_cut(made[group]))
    return made


@st.composite
def _cut(draw: st.DrawFn, group: dict[str, list[Any]]) -> list[dict[str, list[Any]]]:
    """A group as an array of objects: each array whole or cut in two, in objects of their own or together."""
    pieces: list[dict[str, list[Any]]] = [{}] if draw(st.booleans()) else []
    for name, records in group.items():
        at = draw(st.integers(0, len(records)))
        for part in (records[:at], records[at:]) if 0 < at < len(records) else (records,):
            if pieces and name not in pieces[-1] and draw(st.booleans()):
                pieces[-1][name] = part
            else:
                pieces.append({name: part})
    return pieces


def files() -> st.SearchStrategy[dict[str, Any]]:
    """Valid exchange files: up to three persons, any items, unknown keys, empty arrays."""
    ids = st.lists(st.text(_ALNUM, min_size=1, max_size=20), min_size=1, max_size=3, unique=True)
    return ids.flatmap(lambda names: st.tuples(*map(_person, names))).map(lambda persons: envelope(*persons))


def canonical(document: Any) -> str:
    """JSON with sorted keys and every digit."""
    return json.dumps(json.loads(exact.dumps(document), parse_float=str, parse_int=str), sort_keys=True)
