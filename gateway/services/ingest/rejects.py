"""rejects.jsonl: one line a message that was not accepted. Always the whole list of what is bad now, never a log."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson

from gateway.model.ingest import OVER_MLLP
from gateway.ports import Keeping


def write_rejects(path: Path, keeping: Keeping) -> int:
    """Writes the list beside the old one and puts it in its place. Returns the number of lines.

    A rejected file that is no longer there is dropped from the ledger and not listed. Two runs at once write two
    temporary files, and the later one is in place at the end; one left by a killed run is removed by the next.
    """
    for left in path.parent.glob(f"{path.name}.*.part"):
        if not _runs(left.name.split(".")[-2].partition("-")[0]):
            left.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    gone: list[bytes] = []
    count = 0
    with part.open("wb") as lines:
        for line in _lines(keeping, gone):
            lines.write(line)
            count += 1
        lines.flush()
        os.fsync(lines.fileno())
    part.replace(path)
    keeping.forget(gone)
    return count


def _runs(process: str) -> bool:
    """Whether a process of this number is there (one of another user counts)."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True


def _lines(keeping: Keeping, gone: list[bytes]) -> Iterator[bytes]:
    for path, rejects in keeping.rejects():
        if path.startswith(OVER_MLLP):  # its sender was told; it is no file that could be mended and read again
            continue
        if not os.path.lexists(path):
            gone.append(path)
            continue
        for reject in rejects:
            line = {"file": os.fsdecode(path).encode("utf-8", "backslashreplace").decode(), **reject._asdict()}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
