"""Exchange files (健康情報等交換規約) out of the store: one a consortium, in the format of the convention."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.codec import fhir
from gateway.model.caller import Scope
from gateway.ports import Resources
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.returning import Returning


@dataclass(slots=True)
class ExchangeFile:
    """One file to send."""

    name: str
    content: bytes


@dataclass(slots=True)
class Exported:
    files: list[ExchangeFile] = field(default_factory=list)
    records: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Why an Observation or record could not be said in the convention -> how many."""


def export(resources: Resources, scope: Scope, registers: Registers, names: str = "seed") -> Exported:
    """The current view as exchange files. `names`: seed or h28, how items are called."""
    return returned((one.body for one in resources.export(scope)), registers, names)


def returned(bodies: Iterable[bytes], registers: Registers, names: str = "seed") -> Exported:
    """The same from FHIR resources as bytes."""
    found = Returning(registers)
    for body in _wanted(bodies):
        found.add(fhir.parse(body))
    made = Exported()
    for document in found.files(names):
        name = f"HX_{document['consortium_id']}_{document['send_time']}.json"
        made.files.append(ExchangeFile(name, exact.dumps(document)))
    made.records, made.skipped = found.written, dict(sorted(found.skipped.items()))
    return made


def _wanted(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """Only these are parsed: a store is full of others."""
    types = tuple(
        b'{"resourceType":"%s"' % name
        for name in (b"Device", b"Observation", b"Organization", b"Patient", b"Provenance")
    )
    return (body for body in bodies if body.startswith(types))
