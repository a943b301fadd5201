"""SS-MIX2 standardised and extended storage (標準化ストレージ, 拡張ストレージ; MHLW standard HS026): names.

    <root>/<id, 1-3>/<id, 4-6>/<patient id>/<care date or ->/<data type>/
        <patient id>_<care date or ->_<data type>_<order no>_<timestamp>_<department or ->_<condition flag>

In extended storage that last name is a folder (content folder, コンテンツフォルダ) whose files have any names, and the
data type is `local code^local name^local system^LOINC^name^LN`. Strings only: whoever walks the tree gives the names.
The patient id comes from the name, never from folders.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from gateway import mapping_files
from gateway.codec.eight_bit import read_segments
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
    # Six parts first: an order number of 15 digits looks like a timestamp, a department never does.
    if _TIMESTAMP.fullmatch(middle):
        timestamp, department, order_no = middle, "", before
    elif _TIMESTAMP.fullmatch(before):
        timestamp, department = before, middle
        head, _, order_no = head.rpartition("_")
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


def may_be_document(name: str) -> bool:
    """Whether a file that `ignored` leaves out is kept all the same inside a content folder, whose files may have any
    name: `old.bak` or `echo.db` is then what the hospital filed, not what a program left behind."""
    return ignored(name) in ("backup copy", "index database", "transaction storage")


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
    ]
    # Names of content folders shorten the extended type to one of its parts: a path has its limits.
    if file.data_type not in parts[4].split("^"):
        checks.append(("data type", parts[4], file.data_type))
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


def _layout(folders: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(root, five folders below it) of a data type folder; ("", ()) without that layout."""
    below = tuple(folders[-5:])
    if len(folders) < 6:
        return "", below if len(below) == 5 else ()
    root, first, second, patient, date, _ = folders[-6:]
    if not _DATE.fullmatch(date) or (len(patient) >= 6 and (first, second) != (patient[:3], patient[3:6])):
        return "", below
    return root, below


def _content_folder(folders: Sequence[str]) -> int | None:
    """Index of the content folder among the folders a file lies in: the highest that is named like a document."""
    for at in range(max(0, len(folders) - CONTENT_DEPTH), len(folders)):
        if is_content_folder(folders[at]):
            return at
    return None


CONTENT_DEPTH: Final = 4
"""Folders above a file that are looked at for its content folder."""


def is_content_folder(name: str) -> bool:
    """Whether a folder of this name is a document of the extended storage. Quick for all other folders."""
    return name[-2:] in ("_0", "_1", "_2") and looks_like_storage_file(name)


# -- where a file lies -------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """What the path of one file says about it."""

    name: FileName | None
    """The document's name: of the file, or of the content folder it lies in. None: neither."""
    root: str
    """Name of the storage root, or ""."""
    folders: tuple[str, ...]
    """The five folders between root and document, as far as they are there."""
    inside: str
    """Path of the file below its content folder, with `/`; "" when the file itself has the document's name."""

    @property
    def data_type(self) -> str:
        """Of the name; in extended storage of the folder when that says more (all six parts)."""
        if self.name is None:
            return ""
        folder = self.folders[4] if len(self.folders) == 5 else ""
        return folder if "^" in folder and self.name.data_type in folder.split("^") else self.name.data_type

    @property
    def extended(self) -> bool:
        """Whether this is a file of the extended storage."""
        return self.name is not None and bool(self.inside or "^" in self.data_type)

    @property
    def part(self) -> str:
        """Which of its content folder's files this is; "" for the message `main_document.hl7` and for a file that is
        the document itself.

        A function of the name alone, so that it is the same in whatever order the files of a folder arrive. What a
        name repeats of its folder's (which changes with every version) is not part of it.
        """
        if not self.inside or self.inside.lower() == MAIN_MESSAGE:
            return ""
        assert self.name is not None
        own = self.inside.replace(self.name.name[:-1], _VERSION).replace(self.name.timestamp, _VERSION)
        return re.sub(f"{_VERSION}[012]?(?![0-9])|{_VERSION}", "", own).strip("_.") or "file"


_VERSION: Final = "\0"
MAIN_MESSAGE: Final = "main_document.hl7"
"""The message of a content folder, e.g. vital signs (ORU^R30)."""


def place(path: str) -> Place:
    """Reads a path with `/` or `\\`. Names of another normal form of Unicode (NFD) are the same names."""
    path = path.replace("\\", "/")
    head, _, last = path.rpartition("/")
    root, folders, document, below = _folder(head)
    last = last if last.isascii() else unicodedata.normalize("NFC", last)
    if document is not None:
        return Place(document, root, folders, below + last)
    name = _name(last)
    if name is None and "." in last and "^" in head:  # LENIENT: a document of one file, with the file's extension
        stem, _, extension = last.rpartition(".")
        if (name := _name(stem)) is not None:
            return Place(name, root, folders, extension)
    return Place(name, root, folders, "")


@lru_cache(maxsize=256)
def _folder(path: str) -> tuple[str, tuple[str, ...], FileName | None, str]:
    """(root, five folders, content folder, rest of the path below it), once for all files of a folder."""
    path = path if path.isascii() else unicodedata.normalize("NFC", path)
    names = [name for name in path.split("/") if name not in ("", ".")]
    at = _content_folder(names)
    root, below = _layout(names[:at])
    if at is None:
        return root, below, None, ""
    return root, below, _name(names[at]), "".join(f"{name}/" for name in names[at + 1 :])


def _name(name: str) -> FileName | None:
    try:
        return parse_name(name)
    except BadInput:
        return None


class ExtendedType(NamedTuple):
    """A data type of the extended storage (拡張ストレージ): parts of the folder's name, "" where empty."""

    code: str = ""
    name: str = ""
    system: str = ""
    loinc: str = ""
    loinc_name: str = ""


def extended_type(data_type: str) -> ExtendedType:
    """`local code^local name^local system^code^name^LN`; the second triplet counts when its system is LOINC's, or when
    the first one's is and there is no second."""
    parts = [part.strip() for part in data_type.split("^")] + [""] * 6
    first, second = tuple(parts[:3]), tuple(parts[3:6])
    if second[2].upper() in _LOINC or (not second[2] and _LOINC_CODE.fullmatch(second[0])):
        return ExtendedType(*first, *second[:2])
    if first[2].upper() in _LOINC:
        return ExtendedType("", "", "", *first[:2])
    return ExtendedType(*first)


_LOINC: Final = ("LN", "LOINC")
_LOINC_CODE = re.compile(r"[0-9]{1,7}-[0-9]")


def padded(order_no: str) -> str:
    """Order numbers are 15 digits, zero padded; some senders leave the zeros out."""
    return order_no.zfill(15) if order_no.isascii() and order_no.isdigit() else order_no


def text_of(path: bytes) -> str:
    """A path as text, each name of it for itself: names on Japanese file servers are UTF-8, CP932 or EUC-JP, and a
    storage may hang below folders of another charset. Of a name in none of them the ASCII parts survive, which are all
    that the standardised storage uses."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        # CP932 has no `/` as a second byte, and neither has EUC-JP. A line feed in a name would end a segment.
        names = path.replace(b"\n", b" ").replace(b"\r", b" ").split(b"/")
        return "/".join(reading.text for reading in read_segments(names, frozenset()))
