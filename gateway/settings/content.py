"""What is taken in, and how it is mapped."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from gateway.settings.forms import Section


class Ingest(Section):
    workers: int = Field(default=0, ge=0, le=256)
    """Worker processes; 0: one a core."""
    max_file_bytes: int = 32 * 1024 * 1024
    """Largest input file read, in bytes; a larger one is rejected with its size."""
    max_document_bytes: int = 2 * 1024 * 1024 * 1024
    """Largest document of an extended storage (拡張ストレージ), in bytes: it is copied in pieces, never held whole."""


class Mapping(Section):
    """What a site adds to the mapping, and how it writes URIs."""

    overlay: str = ""
    """Folder with tables/*.csv and rows/<source>/*.toml of the site's own; empty: none. docs/overlay.md"""
    dialect: Literal["1.2.0", "1.1.2", "clins"] = "1.2.0"
    """URIs of what `convert` and `export` write; the store keeps those of JP Core 1.2.0."""


class ExchangeSpec(Section):
    """健康情報等交換規約: which exchange files are taken."""

    lists: str = ""
    """Folder with the registration lists (事前登録リスト); empty: nothing is checked against them."""
    versions: tuple[str, ...] = ("1.0",)
    """Accepted values of format_version."""
    ranges: dict[str, tuple[Decimal, Decimal]] = {}  # noqa: RUF012 - pydantic copies it
    """Item -> lowest and highest accepted value, instead of those of the convention's table."""
