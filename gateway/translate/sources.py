"""All sources of data (情報源): a file's bytes in, translated messages out. A source says whether it knows a file.

Others plug in by the entry-point group `gateway.sources`; they may add a name, never replace one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from gateway.errors import ConfigurationError, InvalidParameter
from gateway.model.outcome import Issue
from gateway.translate import extended, hl7, transactions
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.exchange_spec import source as exchange
from gateway.translate.jahistc import source as jahistc


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
    as_one: Callable[[list[Converted], bytes], Converted] | None = None
    """Joins what was read of one input, when `convert` prints one document for it although it holds several persons."""


BUILT_IN: tuple[Source, ...] = (
    Source(extended.NAME, "documents of the SS-MIX2 extended storage", extended.recognises, extended.read_file),
    Source(jahistc.NAME, "電子版お薬手帳: JAHISTC01 to 08", jahistc.recognises, jahistc.read_file),
    Source(transactions.NAME, "SS-MIX2 transaction storage", transactions.recognises, transactions.read_file),
    Source(
        exchange.NAME, "健康情報等交換規約: exchange files", exchange.recognises, exchange.read_file, exchange.as_one
    ),
    Source("ss-mix2", "HL7 v2 messages: SS-MIX2 storage, JAHIS", hl7.recognises, hl7.read_file),
)
"""In the order in which they are asked; the last one reads what nobody knows, and says what is wrong with it."""


@cache
def known() -> dict[str, Source]:
    """Name -> source, plug-ins included, which are asked last. Raises ConfigurationError for a plug-in that takes a
    name twice, cannot be loaded, or is no Source of its name."""
    found = {source.name: source for source in BUILT_IN}
    for entry in sorted(entry_points(group="gateway.sources"), key=lambda one: (one.name, one.value)):
        if entry.name in found:
            raise ConfigurationError(f"source {entry.name!r} is there already; a plug-in cannot replace it")
        found[entry.name] = _contained(_loaded(entry))
    return found


def _loaded(entry: EntryPoint) -> Source:
    try:
        made = entry.load()
    except Exception as error:
        raise ConfigurationError(
            f"source {entry.name!r} ({entry.value}) fails to load: {type(error).__name__}"
        ) from error
    if not isinstance(made, Source) or made.name != entry.name:
        raise ConfigurationError(f"source {entry.name!r} ({entry.value}) is no gateway.translate.sources.Source of it")
    return made


def _contained(plug_in: Source) -> Source:
    """A plug-in whose errors stay its own: where it fails to look it knows nothing, where it fails to read the file is
    rejected by the name of the error, whose words may be about a patient."""

    def recognises(data: bytes, path: str) -> bool:
        try:
            return bool(plug_in.recognises(data, path))
        except Exception:  # noqa: BLE001 - a fault of the plug-in must not stop files of other sources
            return False

    def read(data: bytes, path: str, facilities: Facilities, facility: str, explain: bool) -> list[Converted]:
        try:
            made = plug_in.read(data, path, facilities, facility, explain)
            if isinstance(made, list) and all(isinstance(one, Converted) for one in made):
                return made
            words = "what it gives is no list of Converted"
        except Exception as error:  # noqa: BLE001 - as above
            words = type(error).__name__
        issue = Issue("fatal", "plug-in-failed", "byte 0", f"the source {plug_in.name!r} failed: {words}")
        name = path.replace("\\", "/").rpartition("/")[2]
        return [Converted(plug_in.name, name, 0, hashlib.sha256(data).hexdigest(), error=issue)]

    return replace(plug_in, recognises=recognises, read=read)


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


def read_documents(
    data: bytes, path: str, facilities: Facilities, *, facility: str = "", explain: bool = False, source: str = ""
) -> list[Converted]:
    """As `read_file`, but one for each document that `convert` prints."""
    chosen = choose(data, path, source)
    made = chosen.read(data, path, facilities, facility, explain)
    return [chosen.as_one(made, data)] if chosen.as_one and len(made) > 1 else made
