"""What a site's rows file may say beside ours of the same name: it takes only what is residue with us."""

from collections.abc import Mapping
from typing import Any

from gateway.errors import ConfigurationError


def check_addition(name: str, ours: Mapping[str, Any], site: Mapping[str, Any]) -> None:
    """An overlay takes only fields that are residue with us. Raises ConfigurationError for the first that is not."""
    for problem in conflicts(ours, site):
        raise ConfigurationError(f"{name}: {problem}")


def conflicts(ours: Mapping[str, Any], site: Mapping[str, Any]) -> list[str]:
    """What an overlay's rows file may not say beside ours of the same name."""
    rows, left = ours.get("row", ()), ours.get("unmapped", ())
    read = {field for row in rows for field in (row["from"], *row.get("with", ()))}
    out = {row["from"] for row in left}
    found = [f"{key} cannot be set in an overlay" for key in site.keys() - {"segment", "resource", "row", "unmapped"}]
    found += [f"{key} is not {ours[key]!r}" for key in ("segment", "resource") if site.get(key) != ours[key]]
    seen: set[str] = set()
    for row in (*site.get("row", ()), *site.get("unmapped", ())):
        for field in (str(row.get("from", "")), *row.get("with", ())):
            if field in read:
                found.append(f"{field} is read by our own rows, and an overlay only adds")
            elif field in out:
                found.append(f"{field} is left out on purpose by our own rows, and an overlay only adds")
        if (field := str(row.get("from", ""))) in seen:
            found.append(f"{field} stands twice")
        seen.add(field)
    return found
