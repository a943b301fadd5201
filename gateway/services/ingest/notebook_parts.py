"""Parts of one split medication notebook (お薬手帳, record 911) that lie in the same folder belong together."""

import os
from pathlib import Path
from typing import Final

from gateway.translate.jahistc.source import part_of

MOST: Final = 2_000
"""Files of a folder that are looked at for further parts."""


def parts_beside(path: bytes, data: bytes, max_bytes: int) -> list[bytes]:
    """All parts of the notebook that this file is a part of, in order of file name; [] when the file is no part.

    Every part gives the same document, so it does not matter which of them is read first.
    """
    wanted = part_of(data)
    if wanted is None:
        return []
    folder, own = os.path.split(path)
    found = {own: data}
    with os.scandir(folder or b".") as entries:
        for number, entry in enumerate(entries):
            if number >= MOST:
                break
            if (
                entry.name != own
                and entry.is_file()
                and part_of(other := notebook_bytes(entry.path, max_bytes)) == wanted
            ):
                found[entry.name] = other
    return [found[name] for name in sorted(found)]


def notebook_bytes(path: bytes | Path, max_bytes: int) -> bytes:
    """The bytes of a file that begins like a notebook, else nothing."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
            return head + stream.read(max_bytes) if b"JAHISTC" in head else b""
    except OSError:
        return b""
