"""The notebook that resources are: order of its records, and what FHIR has no place for.

Two extensions make the way back exact. `jahistc-notebook` on the Provenance of the file lists the records in order: by
reference to the resource that says them, or in words when none does. `jahistc-item` on a resource holds an item that
`said.py` would not give back as it was (a day in its era, half-width kana, who wrote it).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from gateway.codec.jahistc import NEWEST, Notebook, Record
from gateway.translate.jahistc.making import BASE, Making, Resource
from gateway.translate.jahistc.said import ORDER_IN_RP, Index, block_head, line, said

NOTEBOOK = BASE + "jahistc-notebook"
ITEM = BASE + "jahistc-item"


def keep_layout(notebook: Notebook, making: Making, provenance: Resource) -> None:
    """Adds both extensions to the resources of a notebook."""
    index = Index(making.resources.values())
    order: list[Resource] = [{"url": "header", "valueString": f"JAHISTC{notebook.version:02},{notebook.direction}"}]
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for record, home in making.homes:
        nth = counts[id(home), record.number] if home is not None else 0
        given = [one for one in said(home, index) if one.number == record.number] if home is not None else []
        if home is None or nth >= len(given):
            order.append({"url": "record", "valueString": record.text()})
            continue
        counts[id(home), record.number] += 1
        reference = {"reference": f"{home['resourceType']}/{home['id']}", "display": record.number}
        order.append({"url": "record", "valueReference": reference})
        kept = [
            {"url": ITEM, "valueString": f"{record.number}[{nth + 1}]-{number}={sent}"}
            for number, (sent, back) in enumerate(zip_longest(record.items, given[nth].items, fillvalue=""), start=1)
            if sent.strip(" \u3000") != back.strip(" \u3000")
        ]
        if kept:
            home["extension"] = [*home.get("extension", ()), *kept]
    provenance["extension"] = [{"url": NOTEBOOK, "extension": order}]


def notebooks_of(resources: Iterable[Resource]) -> list[Notebook]:
    """The notebooks that are in the resources of one patient: one for each file they came from, and one for what came
    from no notebook. [] when there is nothing a notebook has a record for."""
    index = Index(resources)
    found: list[Notebook] = []
    told: set[int] = set()
    for one in index.of("Provenance"):
        for extension in one.get("extension", ()):
            if extension.get("url") == NOTEBOOK:
                found.append(_laid_out(extension["extension"], index, told))
    rest = [one for one in index.all if id(one) not in told]
    if records := _composed(rest, index):
        found.append(Notebook(NEWEST, "1", tuple(records)))
    return found


def _laid_out(order: Sequence[Resource], index: Index, told: set[int]) -> Notebook:
    header, records = "JAHISTC08,1", []
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for one in order:
        if one["url"] == "header":
            header = one["valueString"]
        elif "valueString" in one:
            number, *items = one["valueString"].split(",")
            records.append(Record(number, tuple(items)))
        else:
            home, number = index.get(one["valueReference"]), one["valueReference"]["display"]
            if home:
                told.add(id(home))
                records += _given(home, number, counts, index)
    version, _, direction = header.removeprefix("JAHISTC").partition(",")
    return Notebook(int(version), direction, tuple(records))


def _given(home: Resource, number: str, counts: dict[tuple[int, str], int], index: Index) -> list[Record]:
    """The next record of this number that a resource says, with the items it keeps beside. None when the resource was
    changed since and says fewer."""
    nth = counts[id(home), number]
    counts[id(home), number] += 1
    records = [one for one in said(home, index) if one.number == number]
    if nth >= len(records):
        return []
    items = dict(enumerate(records[nth].items, start=1))
    mark = f"{number}[{nth + 1}]-"
    for extension in home.get("extension", ()):
        if extension.get("url") == ITEM and extension["valueString"].startswith(mark):
            at, _, sent = extension["valueString"].removeprefix(mark).partition("=")
            items[int(at)] = sent
    last = max((at for at, value in items.items() if value), default=0)
    return [Record(number, tuple(items.get(at, "") for at in range(1, last + 1)))]


# -- from resources that no notebook told ----------------------------------------------------------------------------


def _composed(resources: Sequence[Resource], index: Index) -> list[Record]:
    """Patient and dispenses in the order of the standard: newest block first, prescription groups by number. Allergies
    and diseases of other sources are not put into a notebook that has no drug to show."""
    dispenses = [one for one in resources if one["resourceType"] == "MedicationDispense"]
    if not dispenses:
        return []
    before: list[Record] = []
    for type_ in ("AllergyIntolerance", "MedicationStatement"):
        for one in resources:
            if one["resourceType"] == type_:
                before += said(one, index)
    patient = [record for one in index.of("Patient")[:1] for record in said(one, index)]
    blocks: dict[tuple[Record, ...], list[Resource]] = {}
    for one in dispenses:
        blocks.setdefault(tuple(block_head(one, index)), []).append(one)
    after: list[Record] = []
    for head in sorted(blocks, key=lambda records: (records[0].item("date"), records), reverse=True):
        after += [*head, *_groups(blocks[head], index)]
    return [*patient, *before, *after]


def _groups(dispenses: Sequence[Resource], index: Index) -> list[Record]:
    """Drugs of one RP number with one usage stand together; what has no number gets the next free one."""
    groups: dict[str, list[list[Record]]] = {}
    numbers = [int(n) for one in dispenses if (n := said(one, index)[0].item("rp")).isdigit()]
    free = max(numbers, default=0)
    for one in sorted(dispenses, key=_order_in_rp):
        records = said(one, index)
        rp = records[0].item("rp")
        if not rp:
            free += 1
            rp = str(free)
            records = [record._replace(items=(rp, *record.items[1:])) for record in records]
        told = one.get("dosageInstruction", [{}])[0].get("patientInstruction", "")
        records += [line("391", rp=rp, text=text) for text in told.split("\n") if text]
        groups.setdefault(rp, []).append(records)
    made: list[Record] = []
    for rp in sorted(groups, key=lambda number: (len(number), number)):
        drugs = groups[rp]
        made += [record for records in drugs for record in records if record.number in ("201", "281")]
        usages = [record for records in drugs for record in records if record.number not in ("201", "281")]
        made += dict.fromkeys(usages)
    return made


def _order_in_rp(one: Resource) -> tuple[int, str]:
    number = next((i.get("value", "") for i in one.get("identifier", ()) if i.get("system") == ORDER_IN_RP), "")
    return (int(number) if number.isdigit() and len(number) < 6 else 0, one["id"])
