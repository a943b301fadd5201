"""How a value gets to its place in a FHIR resource. Only the resource itself is changed: what it holds may be shared."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def setter(path: str) -> Callable[[dict[str, Any], Any], None]:
    """How a value gets to its place: `.` merges, `a.b` nests, `a[]` appends one or several, `+a` is done elsewhere."""
    if path == ".":
        return merge
    if path.startswith("+"):
        return lambda out, value: None
    *parents, leaf = path.split(".")
    if leaf.endswith("[]"):
        return _appender(tuple(parents), leaf.removesuffix("[]"))
    if not parents:
        return lambda out, value: out.__setitem__(leaf, value)

    def put(out: dict[str, Any], value: Any) -> None:
        _inner(out, parents)[leaf] = value

    return put


def _inner(out: dict[str, Any], parents: Iterable[str]) -> dict[str, Any]:
    """The object at the end of a path, copied on the way: what is there may be shared with other resources."""
    for key in parents:
        out[key] = inner = dict(out.get(key, ()))
        out = inner
    return out


def _appender(parents: tuple[str, ...], leaf: str) -> Callable[[dict[str, Any], Any], None]:
    def put(out: dict[str, Any], value: Any) -> None:
        out = _inner(out, parents)
        if not isinstance(value, list):
            value = [value]
        if leaf in out:
            out[leaf] = out[leaf] + value
        elif value:
            out[leaf] = value

    return put


def merge(out: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    """Adds a fragment: lists are joined, objects merged, a scalar is set. Only `out` itself is changed: what it holds
    may be shared with other resources."""
    for key, value in fragment.items():
        if (here := out.get(key)) is None:
            out[key] = value
        elif isinstance(value, list) and isinstance(here, list):
            out[key] = here + value
        elif isinstance(value, dict) and isinstance(here, dict):
            joined = dict(here)
            merge(joined, value)
            out[key] = joined
        else:
            out[key] = value
