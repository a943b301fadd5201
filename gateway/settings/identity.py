"""Patient numbers: the domains known here, who assigns in them, who is told, medical IDs, matching."""

from typing import Literal

from pydantic import Field, model_validator

from gateway.model.identity import Authority, AuthorityKind
from gateway.settings.forms import DAY, FACILITY_NUMBER, INSTITUTION, OID, Section


class AuthoritySettings(Section):
    oid: str = Field(pattern=OID, max_length=64)
    namespace: str = ""
    name: str = ""
    kind: AuthorityKind = "facility"
    aliases: tuple[str, ...] = ()
    institution: str = Field(default="", pattern=INSTITUTION)

    def authority(self) -> Authority:
        return Authority(self.oid, self.namespace, self.name, self.kind, self.aliases, self.institution)


class SenderSettings(Section):
    """Who may assign patient numbers where, over MLLP. Without any of these blocks everybody may; with one, nobody else."""

    application: str = ""
    """MSH-3; empty: any."""
    facility: str = ""
    """MSH-4; empty: any."""
    authorities: tuple[str, ...] = ()
    """OIDs or namespaces of the domains in which it may assign."""


class ParticipantSettings(Section):
    """A facility of the consortium whose patients are given medical IDs (医療等ID). Without any of these blocks every
    facility known here takes part; with one, nobody else."""

    institution: str = Field(pattern=FACILITY_NUMBER)
    """医療機関番号: 2 digits of the prefecture (01 to 47), score table, 7 digits."""
    name: str = ""
    authorities: tuple[str, ...] = Field(min_length=1)
    """OIDs or namespaces of the domains in which it numbers its patients."""
    since: str = Field(default="", pattern=DAY)
    until: str = Field(default="", pattern=DAY)
    """First and last day, YYYY-MM-DD; empty: open."""


class MedicalId(Section):
    """医療等ID: who gives the numbers out. docs/medical-id.md"""

    agency: str = Field(default="", max_length=64)
    """`simulator`, or the name of an entry point of the group `gateway.agencies`; empty: none are given out here."""
    authority: str = ""
    """OID or namespace of its numbers; empty: the one authority of kind `medical-id`."""


class NotifySettings(Section):
    """A system that is told when the ids of a person change: over MLLP (ITI-10), or by SOAP with `url` (ITI-46). A document
    registry is told when a number belongs to another enterprise id (ITI-64)."""

    name: str = Field(min_length=1)
    host: str = ""
    port: int = Field(default=2575, ge=1, le=65535)
    application: str = ""
    """MSH-5 of what it gets."""
    facility: str = ""
    """MSH-6."""
    authorities: tuple[str, ...] = ()
    """OIDs or namespaces of the domains it wants ids of; empty: all."""
    timeout_s: float = Field(default=10, gt=0, le=300)
    url: str = ""
    """Its PIXv3 endpoint, instead of `host`."""
    registry: bool = False
    """It keeps documents under our enterprise ids: ITI-64 instead of ITI-10."""
    device: str = ""
    """OID of its device, the receiver of what it gets over SOAP."""

    @model_validator(mode="after")
    def _one_way(self) -> "NotifySettings":
        if bool(self.host) == bool(self.url):
            raise ValueError("a consumer has a host (MLLP) or a url (SOAP)")
        if self.registry and self.url:
            raise ValueError("a registry is told over MLLP (ITI-64): it has a host")
        return self


class Matching(Section):
    """Which records are one person (名寄せ) beyond equal shared ids. docs/matching.md"""

    mode: Literal["auto", "review", "off"] = "auto"
    """auto: what matching is sure of is linked, the rest goes to people; review: all of it goes to people; off: only
    equal shared ids link."""
    weights: str = ""
    """A site's own matching.toml (`musubi match train` writes one); empty: ours."""
