"""SS-MIX2 standardised storage (SS-MIX2 標準化ストレージ, MHLW standard HS026): names of files and folders.

    <root>/<id, 1-3>/<id, 4-6>/<patient id>/<care date or ->/<data type>/
        <patient id>_<care date or ->_<data type>_<order no>_<timestamp>_<department or ->_<condition flag>

Strings only: whoever walks the tree gives the names. The patient id comes from the file name, never from folders.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway import mapping_files
from gateway.errors import BadInput
from gateway.model.outcome import Issue

NO_ORDER: Final = "999999999999999"
"""Order number of data types that have none."""
MAX_NAME: Final = 512
"""Characters of a file name that are looked at; the index database of SS-MIX2 keeps 260."""

_FLAGS: Final = ("0", "1", "2")
_DATE = re.compile(r"[0-9]{8}|-")
_TIMESTAMP = re.compile(r"[0-9]{14,17}")
_STRAY: Final = {
    "thumbs.db": "operating system file",
    "desktop.ini": "operating system file",
    "ehthumbs.db": "operating system file",
    ".ds_store": "operating system file",
}
_STRAY_PATTERNS: Final = (
    (re.compile(r"\._.*|\$recycle\.bin|system volume information", re.I), "operating system file"),
    (re.compile(r"~\$.*|\.~lock.*#|.*\.(?:lock|lck|laccdb|ldb)|\.nfs[0-9a-f]+", re.I), "lock file"),
    (re.compile(r".*\.(?:tmp|temp|part|partial|crdownload|swp|swo)|~.*\.tmp", re.I), "temporary file"),
    (re.compile(r".*(?:\.(?:bak|old|orig)|~)", re.I), "backup copy"),
    (re.compile(r".*\.(?:mdb|accdb|sqlite3?|db|mdf|ldf)(?:-wal|-shm|-journal)?|ssmixidx.*", re.I), "index database"),
    (re.compile(r"TR_[0-9]{17}_[0-9]+\.DAT", re.I), "transaction storage"),
    (re.compile(r"\..*"), "hidden file"),
)


class FileName(NamedTuple):
    """The parts of one file name. `timestamp` has 17 digits (zeros added on the right); `flag` is 1 for the valid
    version, 2 for one that was superseded, 0 for a deleted one and for the delete message itself."""

    patient_id: str
    care_date: str
    """YYYYMMDD, or `-` for data that belong to no day."""
    data_type: str
    order_no: str
    timestamp: str
    department: str
    """User table 0069, `-`, or "" where the name has six parts (extended storage)."""
    flag: str
    name: str
    """As found."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two files versions of one document: patient, care date, data type, order number."""
        return self[:4]


class DataType(NamedTuple):
    """One row of mappings/tables/ssmix2-data-types.csv."""

    code: str
    ja: str
    en: str
    message: str
    """MSH-9 of a new or changed document, e.g. `ADT^A01`."""
    cancel: str
    """MSH-9 of its cancellation when that is a message of its own, else ""."""
    care_date: str
    """Where the message holds the care date, e.g. `PV1-44`; `-` for none."""


DATA_TYPES: Final[dict[str, DataType]] = {
    row["code"]: DataType(row["code"], row["ja"], row["en"], row["message"], row["cancel"], row["care_date"])
    for row in mapping_files.read_csv(mapping_files.path("tables", "ssmix2-data-types.csv"))
}


def parse_name(name: str) -> FileName:
    """The parts of a file name; six parts (no department) are accepted, as the extended storage of NHO has them.

    Raises BadInput with the part that is wrong. Read from the right, because a patient id or the local name of an
    extended data type may hold `_`.
    """
    if len(name) > MAX_NAME:
        raise BadInput(f"file name of {len(name)} characters")
    parts = name.rsplit("_", 3)
    if len(parts) < 4:
        raise BadInput("file name does not have the seven parts of SS-MIX2")
    head, before, middle, flag = parts
    if flag not in _FLAGS:
        raise BadInput("file name: the condition flag is not 0, 1 or 2")
    if _TIMESTAMP.fullmatch(before):
        timestamp, department = before, middle
        head, _, order_no = head.rpartition("_")
    elif _TIMESTAMP.fullmatch(middle):
        timestamp, department, order_no = middle, "", before
    else:
        raise BadInput("file name: no timestamp of 14 to 17 digits before the condition flag")
    patient_id, care_date, data_type = _split_head(head)
    if not order_no:
        raise BadInput("file name: the order number is empty")
    if len(department) > 5:
        raise BadInput("file name: the department is longer than 5 characters")
    return FileName(patient_id, care_date, data_type, order_no, timestamp.ljust(17, "0"), department, flag, name)


def _split_head(head: str) -> tuple[str, str, str]:
    """(patient id, care date, data type): the rightmost date with something on both sides parts them."""
    pieces = head.split("_")
    for at in range(len(pieces) - 2, 0, -1):
        if _DATE.fullmatch(pieces[at]):
            patient_id, data_type = "_".join(pieces[:at]), "_".join(pieces[at + 1 :])
            if not patient_id.strip():
                raise BadInput("file name: the patient id is empty")
            if not data_type.strip():
                raise BadInput("file name: the data type is empty")
            return patient_id, pieces[at], data_type
    raise BadInput("file name: no care date of eight digits (or -) between patient id and data type")


def looks_like_storage_file(name: str) -> bool:
    """True when parse_name() accepts `name`."""
    try:
        parse_name(name)
    except BadInput:
        return False
    return True


def ignored(name: str) -> str:
    """Why a file is left out by rule (a file that lies in any storage but is no document), or "" when it is not."""
    if reason := _STRAY.get(name.lower(), ""):
        return reason
    return next((reason for pattern, reason in _STRAY_PATTERNS if pattern.fullmatch(name)), "")


def check_path(parts: Sequence[str], file: FileName) -> tuple[Issue, ...]:
    """`path-conflict` for each folder under the root ([id 1-3, id 4-6, id, date, type]) that contradicts the name.

    Fewer than five folders are not the layout, so there is nothing to contradict. How ids shorter than six
    characters are cut is not settled, so their first two folders are not checked.
    """
    if len(parts) < 5:
        return ()
    checks = [
        ("patient", parts[2], file.patient_id),
        ("care date", parts[3], file.care_date),
        ("data type", parts[4], file.data_type),
    ]
    if len(file.patient_id) >= 6:
        checks += [
            ("first", parts[0], file.patient_id[:3]),
            ("second", parts[1], file.patient_id[3:6]),
        ]
    return tuple(
        Issue("warning", "path-conflict", "path", f"the {what} folder does not agree with the file name")
        for what, folder, expected in checks
        if folder != expected
    )


def root_of(folders: Sequence[str]) -> str:
    """Name of the storage root when the folders a file lies in have the six-level layout, else "".

    In extended storage the file lies one folder deeper, in a content folder that carries the document's name.
    """
    if folders and looks_like_storage_file(folders[-1]):
        folders = folders[:-1]
    if len(folders) < 6:
        return ""
    root, first, second, patient, date, _ = folders[-6:]
    if not _DATE.fullmatch(date):
        return ""
    if len(patient) >= 6 and (first, second) != (patient[:3], patient[3:6]):
        return ""
    return root
