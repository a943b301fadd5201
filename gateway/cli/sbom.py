"""`musubi sbom`: what this installation is made of, as a CycloneDX bill of materials."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any, Final

from gateway.cli._frame import DONE, app, print_json
from gateway.errors import ConfigurationError

PACKAGE: Final = "musubi-gateway"
_NAME: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@app.command()
def sbom() -> int:
    """Print the packages this installation runs with, by name, version and licence (CycloneDX 1.5, JSON)."""
    try:
        ours = distribution(PACKAGE)
    except PackageNotFoundError:
        raise ConfigurationError(f"{PACKAGE} is not installed here: a checkout has no bill of materials") from None
    found: dict[str, Distribution] = {}
    _collect(ours, found)
    print_json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": {**_component(ours), "type": "application"}},
            "components": [_component(one) for name, one in sorted(found.items()) if one is not ours],
            "dependencies": [
                {"ref": _ref(one), "dependsOn": sorted(_ref(found[name]) for name in _needs(one) if name in found)}
                for _, one in sorted(found.items())
            ],
        }
    )
    return DONE


def _collect(one: Distribution, found: dict[str, Distribution]) -> None:
    found[_normal(one.name)] = one
    for name in _needs(one):
        if name not in found:
            try:
                _collect(distribution(name), found)
            except PackageNotFoundError:
                continue  # for another system or version of Python


def _needs(one: Distribution) -> list[str]:
    """Names of what it requires itself; extras are for somebody else."""
    named = (_NAME.match(text) for text in one.requires or [] if "extra ==" not in text)
    return [_normal(match[1]) for match in named if match]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ref(one: Distribution) -> str:
    return f"pkg:pypi/{_normal(one.name)}@{one.version}"


def _component(one: Distribution) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(one),
        "name": one.name,
        "version": one.version,
        "purl": _ref(one),
    }
    licence = _said(one, "License-Expression") or _said(one, "License")
    if licence and len(licence) < 100:
        found["licenses"] = [{"license": {"name": licence}}]
    return found


def _said(one: Distribution, name: str) -> str:
    """A field of the package's metadata, or empty."""
    return str(one.metadata[name]) if name in one.metadata else ""
