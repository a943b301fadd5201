"""Settings in, what every part is configured with out: mapping, domains, checks. Knows no storage."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.ihe._transaction import Sender
from gateway.ports import MedicalIdAgency
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from gateway.sandbox.medical_id import SandboxAgency
from gateway.services.ingest.messages import ReadingRules
from gateway.services.matching import Matching
from gateway.services.registers import load as load_registers
from gateway.settings import Settings
from gateway.translate.context import Facilities
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.structures import compile_all


def software_version() -> str:
    try:
        return version("musubi-gateway")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"


@cache
def validator() -> Validator:
    """R4, JP Core and the packages of MUSUBI_FHIR_PACKAGES; compiled on first use, once a process."""
    return Validator.from_environment()


def use_mapping(settings: Settings) -> None:
    """The site's overlay, before anything is translated. Raises ConfigurationError when it cannot be used."""
    mapping_files.configure(settings.overlay)
    compile_all()


@cache
def fhir_xml() -> FhirXml:
    return FhirXml(validator().tables)


def facilities(settings: Settings) -> Facilities:
    use_mapping(settings)
    return Facilities(settings.known_authorities, exchange=registers(settings))


def registers(settings: Settings) -> Registers:
    """Registration lists and limits of exchange files. Raises ConfigurationError for a list that cannot be read."""
    wanted = settings.exchange_spec
    return load_registers(settings.exchange_lists, wanted.versions, wanted.ranges)


def matching(settings: Settings) -> Matching | None:
    """What compares records; None when it is off. Raises ConfigurationError for weights that cannot be read."""
    if settings.matching.mode == "off":
        return None
    return Matching.load(settings.matching_weights, settings.known_authorities)


def medical_authority(settings: Settings) -> str:
    """OID of the medical ID. Raises ConfigurationError when it is not clear which it is."""
    if settings.medical_id.authority:
        return domains(settings, [settings.medical_id.authority], "medical_id")[0]
    found = [one.oid for one in settings.authorities if one.kind == "medical-id"]
    if len(found) != 1:
        raise ConfigurationError("medical_id.authority has to name one of the [[authorities]] of kind medical-id")
    return found[0]


def agency(name: str, settings: Settings) -> MedicalIdAgency:
    """Who gives medical IDs out. Raises ConfigurationError for a name nobody installed."""
    if name == "simulator":
        return SandboxAgency(file=settings.directory / "medical-id-simulator.json")
    found = next(iter(entry_points(group="gateway.agencies", name=name)), None)
    if found is None:
        raise ConfigurationError(f"medical_id.agency: no installed package offers {name!r} (group gateway.agencies)")
    made: MedicalIdAgency = found.load()(settings)
    return made


def senders(settings: Settings) -> tuple[Sender, ...]:
    """Raises ConfigurationError for a domain nobody knows."""
    return tuple(
        Sender(one.application, one.facility, frozenset(domains(settings, one.authorities, "senders")))
        for one in settings.senders
    )


def domains(settings: Settings, names: Sequence[str], section: str) -> tuple[str, ...]:
    """OIDs of domains named by OID, namespace or alias. Raises ConfigurationError."""
    known = Facilities(settings.known_authorities)
    found = [known.find(name) for name in names]
    if None in found:
        raise ConfigurationError(f"{section}: {names[found.index(None)]!r} is none of [[authorities]]")
    return tuple(one.oid for one in found if one is not None)


def reading_rules(settings: Settings, facility: str = "") -> ReadingRules:
    return ReadingRules(
        authorities=settings.known_authorities,
        repository=settings.community.repository,
        facility=facility,
        max_file_bytes=settings.ingest.max_file_bytes,
        max_document_bytes=settings.ingest.max_document_bytes,
        overlay=settings.overlay,
        exchange=registers(settings),
    )
