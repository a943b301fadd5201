"""All sources of data (情報源): a file's bytes in, translated messages out. A source says whether it knows a file.

Others plug in by the entry-point group `gateway.sources`; they may add a name, never replace one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from gateway.errors import ConfigurationError, InvalidParameter
from gateway.translate import hl7
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of input."""

    name: str
    """As `musubi convert --source` and `Converted.source` say it."""
    title: str
    """What it reads, for people."""
    recognises: Callable[[bytes, str], bool]
    """(bytes, path with `/`) -> whether this source reads the file. Quick: it looks at the beginning only."""
    read: Callable[[bytes, str, Facilities, str, bool], list[Converted]]
    """(bytes, path, facilities, facility OID that wins or "", explain). Never raises for what the bytes hold."""


BUILT_IN: tuple[Source, ...] = (
    Source("ss-mix2", "HL7 v2 messages: SS-MIX2 storage, JAHIS", hl7.recognises, hl7.read_file),
)
"""In the order in which they are asked; the last one reads what nobody knows, and says what is wrong with it."""


@cache
def known() -> dict[str, Source]:
    """Name -> source, plug-ins included. Raises ConfigurationError for a plug-in that takes a name twice."""
    found = {source.name: source for source in BUILT_IN}
    for entry in entry_points(group="gateway.sources"):
        if entry.name in found:
            raise ConfigurationError(f"source {entry.name!r} is there already; a plug-in cannot replace it")
        found[entry.name] = entry.load()
    return found


def choose(data: bytes, path: str, source: str = "") -> Source:
    """The source that reads these bytes. Raises InvalidParameter for a name that no source has."""
    sources = known()
    if source:
        if source not in sources:
            raise InvalidParameter(f"no source is called {source!r}; there are {', '.join(sources)}")
        return sources[source]
    return next((one for one in sources.values() if one.recognises(data, path)), BUILT_IN[-1])


def read_file(
    data: bytes, path: str, facilities: Facilities, *, facility: str = "", explain: bool = False, source: str = ""
) -> list[Converted]:
    """Every message of one file, translated. Never raises on bad input: the reason stands in `Converted.error`."""
    return choose(data, path, source).read(data, path, facilities, facility, explain)
