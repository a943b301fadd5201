"""Code tables (コード対応表) as FHIR R4 ConceptMaps, for people and programs that do not read our CSV."""

import re
from pathlib import Path
from typing import Any, Final

from gateway import mapping_files

BASE: Final = "https://musubi.invalid/ConceptMap/"
"""`.invalid` (RFC 2606): a name, and nothing to fetch there."""

_CODE = re.compile(r"\S+( \S+)*")
_TARGET = re.compile(r"->\s*(https?://[^\s;,)]+)")
_V2_TABLE = re.compile(r"HL7 v2\.5 table ([0-9]{4})")


def code_tables() -> list[str]:
    """Names of the tables that map a source code to a target, in order."""
    names = sorted(file.stem for file in mapping_files.path("tables").glob("*.csv"))
    return [name for name in names if mapping_files.header(_file(name))[:2] == ("source", "target")]


def concept_map(name: str) -> dict[str, Any]:
    """One table, the site's rows included. The equivalence is `relatedto`: a row says what a code becomes, and not
    whether both mean exactly the same. A row without target is `unmatched`: we know the code and give it no target."""
    about = comments(name)
    words = " ".join(about)
    group: dict[str, Any] = {}
    if found := _V2_TABLE.search(words):
        group["source"] = f"http://terminology.hl7.org/CodeSystem/v2-{found[1]}"
    if found := _TARGET.search(words):
        group["target"] = found[1].rstrip(".")
    group["element"] = [_element(source, target) for source, target in mapping_files.table(name).items()]
    return {
        "resourceType": "ConceptMap",
        "id": name,
        "url": BASE + name,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": about[0] if about else name,
        "status": "active",
        "description": words or name,
        "group": [group],
    }


def comments(name: str) -> list[str]:
    """The lines above a table's header: where the codes come from."""
    lines = _file(name).read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ").strip() for line in lines if line.startswith("#")]


def _file(name: str) -> Path:
    return mapping_files.path("tables", f"{name}.csv")


def _element(source: str, target: str) -> dict[str, Any]:
    # What FHIR takes for no code (two blanks inside) is the words of a display.
    key = "code" if _CODE.fullmatch(source) else "display"
    return {
        key: source,
        "target": [{"code": target, "equivalence": "relatedto"} if target else {"equivalence": "unmatched"}],
    }
