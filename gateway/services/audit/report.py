"""「私の記録を誰が見たか」: who looked at one person's record, in Japanese, facility by facility. Names of staff are not in it:
those are the privacy officer's to see (the model is the national portal, which shows the facility).
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway.model.audit import StoredRecord
from gateway.services.audit.names import transaction_name

PURPOSES: Final = {
    "TREATMENT": "診療", "EMERGENCY": "救急", "PAYMENT": "支払", "OPERATIONS": "運営", "RESEARCH": "研究",
    "PUBLICHEALTH": "公衆衛生", "REQUEST": "本人の請求", "SYSADMIN": "保守",
}  # fmt: skip
HEAD: Final = ("日時", "施設", "目的", "内容", "データ", "緊急時閲覧", "結果")
_SEEN: Final = frozenset({"110106", "110112", "110113"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


class Access(NamedTuple):
    """One line of the extract."""

    at: str
    """Japan time."""
    facility: str
    purpose: str
    what: str
    data: str
    emergency: str
    outcome: str


def accesses(records: Iterable[StoredRecord], facility: Callable[[str], str]) -> Iterator[Access]:
    """`facility`: OID or URI of an organisation -> its name, or itself."""
    for stored in records:
        record = stored.record
        if record.event not in _SEEN or not (record.user or record.node):
            continue
        at = datetime.fromisoformat(stored.recorded) + timedelta(hours=9)
        yield Access(
            at.strftime("%Y-%m-%d %H:%M:%S"),
            record.organization_name or facility(record.organization or record.node),
            PURPOSES.get(record.purpose, record.purpose or "—"),
            transaction_name(record.transaction, "ja"),
            record.object.partition("?")[0].partition("/")[0] if record.transaction == "rest" else "文書・患者情報",
            "緊急" if record.break_glass or record.transaction == "break-glass" else "",
            "閲覧" if record.outcome == 0 else "拒否・失敗",
        )


def as_csv(lines: Iterable[Access]) -> str:
    """UTF-8 text for spreadsheets; a cell that would be read as a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    for line in lines:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in line])
    return out.getvalue()
