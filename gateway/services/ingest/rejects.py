"""rejects.jsonl: one line a message that was not accepted. Always the whole list of what is bad now, never a log."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from gateway.ports import Keeping


def write_rejects(path: Path, keeping: Keeping) -> int:
    """Writes the list beside the old one and puts it in its place. Returns the number of lines.

    A rejected file that is no longer there is dropped from the ledger and not listed. No temporary file is left by a
    crash but one, which the next run overwrites.
    """
    part = path.with_name(path.name + ".part")
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


def _lines(keeping: Keeping, gone: list[bytes]) -> Iterator[bytes]:
    for path, rejects in keeping.rejects():
        if not os.path.lexists(path):
            gone.append(path)
            continue
        for reject in rejects:
            line = {"file": os.fsdecode(path).encode("utf-8", "backslashreplace").decode(), **reject._asdict()}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
