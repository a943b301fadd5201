"""A notebook in parts that are small files of their own (record 911).

Cite: JAHIS 24-104 (Ver.2.6), splitting (分割制御レコード).
"""

from collections.abc import Iterable, Iterator, Sequence

from gateway.codec.jahistc import RP_RECORDS, SPLIT, Notebook, NotebookError, Record, render
from gateway.errors import LimitExceeded


def join(parts: Sequence[Notebook]) -> Notebook:
    """The notebook that was split into these parts (record 911), in any order. Raises NotebookError when the set is not
    complete, holds two different parts of one number, or parts of different notebooks or patients."""
    numbered: dict[int, Notebook] = {}
    wanted, data_id = 0, ""
    for one in parts:
        mark = one.part
        total, number = _count(mark, "parts"), _count(mark, "number")
        if mark is None or not 1 <= number <= total:
            raise NotebookError("record 911 does not say which part of how many this is")
        if wanted and (total, mark.item("data_id")) != (wanted, data_id):
            raise NotebookError("parts of different notebooks (record 911)")
        wanted, data_id = total, mark.item("data_id")
        if number in numbered and _lines(numbered[number]) != _lines(one):
            raise NotebookError(f"part {number} of {total} comes twice with different content")
        numbered[number] = one
    if missing := [str(n) for n in range(1, wanted + 1) if n not in numbered][:20]:
        raise NotebookError(f"part {', '.join(missing)} of {wanted} missing")
    ordered = [numbered[n] for n in sorted(numbered)]
    if len({_head(one) for one in ordered}) > 1:
        raise NotebookError("the parts are of different patients or directions")
    issues = tuple(issue for one in ordered for issue in one.issues)
    return Notebook(ordered[0].version, ordered[0].direction, _joined(ordered), issues, ordered[0].charset)


def _count(mark: Record | None, name: str) -> int:
    value = mark.item(name) if mark else ""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else 0


def _lines(notebook: Notebook) -> list[str]:
    return [record.text() for record in notebook.records]


def _head(notebook: Notebook) -> tuple[str, ...]:
    patient = next(record for record in notebook.records if record.number == "1")
    return (notebook.direction, patient.item("name"), patient.item("sex"), patient.item("birth"))


def _joined(ordered: Sequence[Notebook]) -> tuple[Record, ...]:
    """Each part repeats patient and dispensing records; what is repeated stands once, everything else in its order."""
    before: list[Record] = []
    blocks: dict[tuple[str, ...], list[Record]] = {}
    for one in ordered:
        seen = {record.text() for record in before}
        block: list[Record] | None = None
        known: set[str] = set()
        for record in one.records:
            if record.number == SPLIT:
                continue
            if record.number == "5":
                block = blocks.setdefault(_block_key(one.records, record), [])
                known = {other.text() for other in block if other.number not in RP_RECORDS}
            if block is None:
                if record.text() not in seen:
                    before.append(record)
            elif record.text() not in known:
                block.append(record)
    return (*before, *(record for block in blocks.values() for record in block))


def _block_key(records: Sequence[Record], opening: Record) -> tuple[str, ...]:
    """Day, dispensing institution and prescribing institution of a block."""
    key = [opening.text()]
    for record in records[records.index(opening) + 1 :]:
        if record.number == "5":
            break
        if record.number in ("11", "51"):
            key.append(record.text())
    return tuple(key)


def split(notebook: Notebook, *, data_id: str, max_bytes: int) -> list[bytes]:
    """The notebook in small files that are complete by themselves (record 911), each of at most `max_bytes`.

    `data_id`: at most 14 digits, the same for all parts and for no other notebook. Raises LimitExceeded when one
    prescription group alone is longer, or more than 999 parts would be needed.
    """
    pieces = list(_pieces(notebook))
    parts: list[list[Record]] = []
    for piece in pieces:
        grown = _merged(parts[-1], piece) if parts else piece
        if parts and _size(notebook, grown, data_id) <= max_bytes:
            parts[-1] = grown
            continue
        if _size(notebook, piece, data_id) > max_bytes:
            raise LimitExceeded(f"one prescription group is longer than {max_bytes} bytes")
        parts.append(piece)
    if len(parts) > 999:
        raise LimitExceeded("more than 999 parts")
    if len(parts) == 1:
        return [render(parts[0], version=notebook.version, direction=notebook.direction).data]
    return [
        render(
            [*part, Record(SPLIT, (data_id, str(len(parts)), str(n)))],
            version=notebook.version,
            direction=notebook.direction,
        ).data
        for n, part in enumerate(parts, start=1)
    ]


def _size(notebook: Notebook, records: Sequence[Record], data_id: str) -> int:
    marked = [*records, Record(SPLIT, (data_id, "999", "999"))]
    return len(render(marked, version=notebook.version, direction=notebook.direction).data)


def _pieces(notebook: Notebook) -> Iterator[list[Record]]:
    """The smallest complete files: patient and one record, or patient, head of the block and one prescription group."""
    patient = [record for record in notebook.records if record.number == "1"]
    head: list[Record] = []
    group: list[Record] = []
    for record in notebook.records:
        if record.number in ("1", SPLIT):
            continue
        if record.number in RP_RECORDS:
            if group and record.item("rp") != group[0].item("rp"):
                yield [*patient, *head, *group]
                group = []
            group.append(record)
            continue
        if group:
            yield [*patient, *head, *group]
            group = []
        if record.number == "5":
            head = [record]
        elif record.number in ("11", "15", "51"):
            head.append(record)
        elif record.number == "55":
            head = [*(one for one in head if one.number != "55"), record]
        else:
            yield [*patient, *head, record]
    if group:
        yield [*patient, *head, *group]
    elif not any(record.number not in ("1", SPLIT) for record in notebook.records):
        yield patient
    elif head and notebook.records[-1] is head[-1]:
        yield [*patient, *head]


def _merged(one: Sequence[Record], other: Sequence[Record]) -> list[Record]:
    """Two pieces in one file: what the second repeats of the first's patient and block is left out."""
    at = max((n for n, record in enumerate(one) if record.number == "5"), default=len(one))
    outside, block = list(one[:at]), list(one[at:])
    begins = next((n for n, record in enumerate(other) if record.number == "5"), len(other))
    known = {record.text() for record in outside}
    if block and not other[begins:]:
        # A record before the blocks may only be added while no block stands before it.
        fresh = [record for record in other[:begins] if record.text() not in known]
        return [*outside, *fresh, *block]
    outside += [record for record in other[:begins] if record.text() not in known]
    if not block or block[0].text() != other[begins].text() or _heads(block) != _heads(other[begins:]):
        return [*outside, *block, *other[begins:]]
    doctor = next((record for record in reversed(block) if record.number == "55"), None)
    more = [
        record
        for record in other[begins:]
        if record.number not in ("5", "11", "15", "51") and (record.number != "55" or record != doctor)
    ]
    return [*outside, *block, *more]


def _heads(block: Iterable[Record]) -> list[str]:
    return [record.text() for record in block if record.number in ("5", "11", "15", "51")]
