"""This node: who it is, where it keeps things, what it listens on."""

from typing import Literal

from pydantic import Field

from gateway.settings.forms import BLOBS_URL, COMMUNITY_ID, DATABASE_URL, OID, ORIGIN, Section


class Community(Section):
    """This node."""

    id: str = Field(default="urn:oid:1.2.392.200119.99999.1", pattern=COMMUNITY_ID, max_length=72)
    """homeCommunityId (ITI TF-2: 3.38): `urn:oid:` and an OID, 64 characters at most."""
    name: str = "Musubi"
    affinity_domain: str = Field(default="1.2.392.200119.99999.1.1", pattern=OID, max_length=64)
    """OID of the enterprise patient ids (XAD-PID)."""
    repository: str = Field(default="1.2.392.200119.99999.1.2", pattern=OID, max_length=64)
    """repositoryUniqueId."""


class Database(Section):
    url: str = Field(default="sqlite:///musubi.db", pattern=DATABASE_URL)
    """A relative SQLite path counts from the folder of the configuration file. A password is better kept out of the
    file: MUSUBI_DATABASE__URL, or PGPASSFILE as libpq has it."""


class BlobStore(Section):
    """Documents above 64 KiB. What an S3-compatible store needs beside its url may also come as boto3 finds it."""

    url: str = Field(default="file:blobs", pattern=BLOBS_URL)
    """`file:FOLDER`, `s3://BUCKET` or `s3://BUCKET/PREFIX`."""
    endpoint: str = ""
    """URL of a store that is not Amazon's."""
    region: str = ""
    access_key_file: str = ""
    """File that holds the access key id, and nothing else."""
    secret_key_file: str = ""


class Http(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    threads: int = Field(default=8, ge=1, le=256)
    """Requests answered at the same time in one process."""
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Largest request body of FHIR and of /api, in bytes; one larger is refused with 413 before it is parsed. SOAP has
    limits of its own, [soap]."""

    public_url: str = Field(default="", pattern=ORIGIN)
    """How others reach this node, when it is not by host and port: behind a name, or from all addresses."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class Mllp(Section):
    """A running listener never changes its mind. Limits: docs/mllp.md."""

    host: str = "127.0.0.1"
    port: int = Field(default=2575, ge=1, le=65535)
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=32 * 1024 * 1024)
    """Largest message, in bytes. A larger one is refused and the connection closed, so that no sender holds memory."""
    max_connections: int = Field(default=2000, ge=1, le=60_000)
    """Open connections; one more is closed at once."""
    max_per_address: int = Field(default=1500, ge=1, le=60_000)
    """Open connections of one address."""
    max_in_flight: int = Field(default=16, ge=1, le=1000)
    """Messages of one connection that are read before the first of them is answered."""
    max_waiting: int = Field(default=256, ge=1, le=100_000)
    """Messages of all connections that are read and not answered; no more is read until one is."""
    idle_timeout_s: float = Field(default=300, gt=0)
    """Seconds between two messages before the connection is closed; firewalls usually drop it at 300 to 900."""
    block_timeout_s: float = Field(default=120, gt=0)
    """Seconds for one message, first byte to last, so that a sender cannot hold a connection by a byte now and then."""
    workers: int = Field(default=16, ge=1, le=256)
    """Threads that read and store messages. Messages of one patient are worked on one after the other."""
    processing_ids: tuple[Literal["P", "T", "D"], ...] = ("P", "T", "D")
    """MSH-11 that are taken: production, training, debugging. What is taken is stored as real data; a node in production
    takes `["P"]` alone."""
    reused_control_id: Literal["process", "reject"] = "process"
    """A control id that came before with another message: stored with a warning, or refused."""


class Soap(Section):
    """HL7 v3 over SOAP: /pixv3, /pdqv3, /xcpd. docs/pix-pdq-v3.md"""

    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    """Largest message without documents, in bytes."""
    max_message_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    """Largest message that may carry documents (ITI-41), in bytes. It is read in pieces and never held whole."""
    max_document_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Largest document that is taken in, in bytes; as base64 inside the envelope it takes a third more."""
    keep_snapshots: bool = False
    """Keep what was made on demand and given out as a stable document (IsSnapshotOf). docs/on-demand.md"""
    strict_receiver: bool = False
    """Refuse a v3 message whose receiver is not this community; otherwise any receiver is taken."""


class Notifications(Section):
    """Notifications of new documents (DSUB, DSUBm). docs/dsub.md"""

    addresses: tuple[str, ...] = ()
    """URLs whose origins subscribers may have notifications sent to; in open mode this machine too. No other address
    out of a subscription is ever called."""
