"""Writing an SS-MIX2 standardised storage: folders, file names, bytes (SS-MIX2 1.2: directory and file naming)."""

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.sandbox.manifest import Manifest
from gateway.sandbox.segments import CHARACTER_SET

NO_ORDER = "999999999999999"
"""Order number of data types that have none."""

_UTF8_CHARACTER_SET = "UNICODE UTF-8||"


@dataclass(frozen=True, slots=True)
class Deviations:
    """Shares (0 to 1) of files that leave the standard the way real systems do. All zero: by the guideline."""

    lf: float = 0.0
    """LF between segments and none at the end."""
    crlf: float = 0.0
    utf8: float = 0.0
    """UTF-8, and MSH-18 says so."""
    shift_jis: float = 0.0
    """Shift_JIS, while MSH-18 still claims ISO IR87."""


STANDARD = Deviations()


class Tree:
    """One storage being written. Refuses to write over a file that is there already (FileExistsError)."""

    def __init__(self, root: Path, deviations: Deviations, rng: Random, transactions: Path | None = None) -> None:
        """`transactions`: file of the transaction storage that is written beside, record by record."""
        root.mkdir(parents=True, exist_ok=True)
        self._transactions = transactions
        self._last: tuple[str, ...] = ()
        self._root = str(root)
        self._deviations = deviations
        self._rng = rng
        self._folders: set[str] = set()
        self.manifest = Manifest()

    def start_patient(self) -> None:
        """Folders of one patient are not visited again: forgetting them keeps memory flat."""
        self._folders.clear()
        self.manifest.patients += 1

    def write(
        self,
        patient_id: str,
        care_date: str,
        data_type: str,
        order_no: str,
        timestamp: str,
        department: str,
        flag: str,
        segments: list[str],
    ) -> None:
        """`<id 1-3>/<id 4-6>/<id>/<care date or ->/<data type>/<id>_<date>_<type>_<order>_<timestamp>_<dept>_<flag>`"""
        folder = f"{self._root}/{patient_id[:3]}/{patient_id[3:6]}/{patient_id}/{care_date}/{data_type}"
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        data, line_end, charset = self._encode(segments)
        name = f"{patient_id}_{care_date}_{data_type}_{order_no}_{timestamp}_{department}_{flag}"
        handle = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
        if self._transactions is not None:
            self._record((patient_id, care_date, data_type, order_no), timestamp, department, flag, data)
        self.manifest.add(data_type, flag, segments, len(data), line_end, charset)

    def _record(self, key: tuple[str, ...], timestamp: str, department: str, flag: str, data: bytes) -> None:
        """One record of the transaction storage (tab-separated head). The second file of a deleted key is its deletion;
        the first was written when it was still valid."""
        assert self._transactions is not None
        action = "DEL" if flag == "0" and key == self._last else "INS"
        self._last = key if flag == "0" and action == "INS" else ()
        head = "\t".join((os.path.basename(self._root), *key, timestamp, department, action))
        with self._transactions.open("ab") as file:
            file.write(head.encode() + b"\r\n" + data + (b"" if data.endswith((b"\r", b"\n")) else b"\n"))

    def _encode(self, segments: list[str]) -> tuple[bytes, str, str]:
        shares = self._deviations
        if shares == STANDARD:
            return ("\r".join(segments) + "\r").encode("iso2022_jp"), "CR", "ISO-2022-JP"
        draw = self._rng.random()
        line_end, text = "CR", "\r".join(segments) + "\r"
        if draw < shares.lf:
            line_end, text = "LF", "\n".join(segments)
        elif draw < shares.lf + shares.crlf:
            line_end, text = "CRLF", "\r\n".join(segments) + "\r\n"
        draw = self._rng.random()
        if draw < shares.utf8:
            return text.replace(CHARACTER_SET, _UTF8_CHARACTER_SET, 1).encode(), line_end, "UTF-8"
        if draw < shares.utf8 + shares.shift_jis:
            return text.encode("shift_jis"), line_end, "Shift_JIS"
        return text.encode("iso2022_jp"), line_end, "ISO-2022-JP"
