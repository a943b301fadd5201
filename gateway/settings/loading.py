"""musubi.toml and MUSUBI_SECTION__KEY to Settings; what is wrong is said in one line. An unknown key gets a suggestion."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.errors import ConfigurationError
from gateway.settings.forms import FORMS
from gateway.settings.root import Settings

_LISTS = frozenset({"authorities", "peers", "senders", "notify", "participants"})
"""Sections that are written [[section]]."""


def load(path: Path | None, environment: dict[str, str] | None = None) -> Settings:
    """Reads musubi.toml (or defaults in open mode when `path` is None), then MUSUBI_SECTION__KEY over it.

    Raises ConfigurationError with one line that says which key and what to do.
    """
    environment = dict(os.environ) if environment is None else environment
    if path is None:
        raw: dict[str, Any] = {"security": {"mode": "open"}}
        directory = Path.cwd()
    else:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # LENIENT: Windows Notepad writes the mark
        except FileNotFoundError:
            raise ConfigurationError(f"{path}: no such file (musubi init DIR writes one)") from None
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path}: {error}") from None
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        directory = path.resolve().parent
    _overlay(raw, environment)
    if "directory" in raw:  # the one field that is no key of the file
        raise ConfigurationError("unknown key 'directory' (paths count from the folder of the configuration file)")
    try:
        settings = Settings.model_validate({**raw, "directory": directory})
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, environment)) from None
    _check_authorities(settings)
    return settings


def _overlay(raw: dict[str, Any], environment: dict[str, str]) -> None:
    for name, value in environment.items():
        section, _, key = name.removeprefix("MUSUBI_").lower().partition("__")
        if name.startswith("MUSUBI_") and key and section:
            table = raw.setdefault(section, [] if section in _LISTS else {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"{name}: {section!r} is no table of keys; set it in the configuration file")
            table[key] = value


def _explain(error: ValidationError, path: Path | None, environment: dict[str, str]) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    variable = "MUSUBI_" + "__".join(str(part) for part in first["loc"]).upper()
    given = {name.upper(): name for name in environment}.get(variable)
    where = f"{given}: " if given else f"{path}: " if path else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{where}unknown key {place!r} ({hint})"
    if first["type"] == "string_pattern_mismatch":
        return f"{where}{place} has to be {FORMS[first['ctx']['pattern']]}"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{where}{place} has to be a table, [{place}]"
    return f"{where}{place}: {first['msg']}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            arguments = getattr(annotation, "__args__", ())
            model = arguments[0] if arguments else annotation
    return [key for key in model.model_fields if key != "directory"]


def _check_authorities(settings: Settings) -> None:
    seen: dict[str, str] = {}
    for authority in settings.authorities:
        if authority.oid in seen.values():
            raise ConfigurationError(f"authorities: {authority.oid} has two blocks; put them together")
        for name in filter(None, (authority.oid, authority.namespace, *authority.aliases)):
            if seen.setdefault(name, authority.oid) != authority.oid:
                raise ConfigurationError(f"authorities: {name!r} names two authorities ({seen[name]}, {authority.oid})")
