"""Dependency direction is a test: over gateway/ itself, and over small bad trees that show the check can fail.

Nothing of gateway/ is imported to check it: the source is parsed, so an import that hides in a function, behind TYPE_CHECKING or
in `import_module("gateway...")` is seen as well.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

GATEWAY = Path(__file__).parents[1] / "gateway"

SPINE = (
    "errors",
    "mapping_files",
    "model",
    "ports",
    "codec",
    "translate",
    "profiles",
    "services",
    "fhir",
    "ihe",
    "serve",
    "cli",
    "app",
)
"""Low to high. A room may import itself and what stands before it."""

_UP_TO_CODEC = frozenset({"errors", "mapping_files", "model", "ports", "codec"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    **{room: frozenset(SPINE[: SPINE.index(room) + 1]) for room in SPINE},
    # Implements the ports; never sees what is built on them.
    "storage": _UP_TO_CODEC | {"storage"},
    "settings": frozenset({"errors", "mapping_files", "model", "settings"}),
    "sandbox": _UP_TO_CODEC | {"sandbox"},
    "__init__": frozenset(),
    "__main__": frozenset({"cli"}),
}
for _room in ("services", "fhir", "ihe", "serve", "cli", "app"):
    MAY_IMPORT[_room] |= {"settings"}
for _room in ("cli", "app"):
    MAY_IMPORT[_room] |= {"sandbox"}
# The one place that builds things.
MAY_IMPORT["app"] |= {"storage"}

MAY_DEFER: dict[str, frozenset[str]] = {
    # A command loads what it needs when it runs, so that `musubi --help` is quick; app builds what a command uses.
    "cli": MAY_IMPORT["cli"] | {"app"},
}
"""Rooms with imports inside functions. In all others such an import is a hidden arrow."""

SERVERS = frozenset({"flask", "werkzeug", "waitress", "asyncio"})
MAY_SERVE = frozenset({"serve", "cli", "app"})

MAX_MODULE_LINES = 800
MAX_README_LINES = 20


class Import(NamedTuple):
    line: int
    module: str
    """Dotted name; for `from a import b` it is a.b."""
    deferred: bool
    relative: bool


def check(package: Path) -> list[str]:
    """Every breach in the package folder, as `file:line what`; empty when the arrows hold."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        found += _check_module(package, path)
    found += [f"{' -> '.join(cycle)}: import cycle" for cycle in cycles(package)]
    for folder in sorted(path.parent for path in package.rglob("__init__.py")):
        if "migrations" in folder.relative_to(package).parts:
            continue  # steps of one history, explained by the package they belong to
        readme = folder / "README.md"
        if not readme.is_file():
            found.append(f"{folder.relative_to(package.parent)}: no README.md")
        elif _lines(readme) > MAX_README_LINES:
            found.append(f"{readme.relative_to(package.parent)}: more than {MAX_README_LINES} lines")
    return found


def _check_module(package: Path, path: Path) -> list[str]:
    room = _room(package, path)
    name = path.relative_to(package.parent)
    if room not in MAY_IMPORT:
        return [f"{name}: {room} is not a room of the architecture"]
    found = [f"{name}: more than {MAX_MODULE_LINES} lines"] if _lines(path) > MAX_MODULE_LINES else []
    for item in imports(path):
        at = f"{name}:{item.line}"
        if item.relative:
            found.append(f"{at} relative import")
            continue
        top, _, rest = item.module.partition(".")
        if top in SERVERS and room not in MAY_SERVE:
            found.append(f"{at} {room} imports {top}")
        if top != package.name or not rest:
            continue
        there = rest.split(".")[0]
        if item.deferred and room not in MAY_DEFER:
            found.append(f"{at} import of {there} inside a function")
        allowed = MAY_DEFER.get(room, MAY_IMPORT[room]) if item.deferred else MAY_IMPORT[room]
        if there not in allowed:
            found.append(f"{at} {room} -> {there}")
    return found


def imports(path: Path) -> Iterator[Import]:
    """All imports of a module, at any depth."""
    yield from _walk(ast.parse(path.read_text("utf-8")), deferred=False)


def _walk(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(child.lineno, alias.name, deferred, False)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(child.lineno, f"{child.module}.{alias.name}", deferred, child.level > 0)
        elif isinstance(child, ast.Call) and (name := _dynamic(child)):
            # A name built at run time cannot be followed; a written one is an import like any other.
            yield Import(child.lineno, name, deferred, name.startswith("."))
        yield from _walk(child, deferred=inside)


def _dynamic(call: ast.Call) -> str:
    function = call.func
    name = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    if name in {"import_module", "__import__"} and call.args and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return ""


def cycles(package: Path) -> list[list[str]]:
    """Groups of modules that import one another when they load (strongly connected, more than one)."""
    files = {_dotted(package, path): path for path in package.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        targets = set()
        for item in imports(path):
            if not item.deferred and not item.relative:
                # `from a import b` loads a.b when that is a module (a package may well list its own modules), else a.
                module = item.module if item.module in files else item.module.rpartition(".")[0]
                targets |= {module} & files.keys() - {name}
        graph[name] = targets
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset({name} | {other for other in reach[name] if name in reach[other]}) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += graph[name]
    return seen


def _room(package: Path, path: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def _dotted(package: Path, path: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_gateway_keeps_its_arrows() -> None:
    assert check(GATEWAY) == []


Tree = Callable[[dict[str, str]], list[str]]


@pytest.fixture
def breaches(tmp_path: Path) -> Tree:
    """Writes modules (path below gateway/ -> source) with all that else is required, and checks them."""

    def build(modules: dict[str, str]) -> list[str]:
        root = tmp_path / "gateway"
        for name, source in {"__init__.py": "", **modules}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, "utf-8")
            for folder in [root, *(parent for parent in path.parents if root in parent.parents)]:
                for file in ("__init__.py", "README.md"):
                    if not (folder / file).exists():
                        (folder / file).write_text("", "utf-8")
        return check(root)

    return build


def test_a_good_tree_passes(breaches: Tree) -> None:
    good = {
        "errors.py": "import os\n",
        "model/x.py": "from gateway.errors import E\n",
        "codec/er7.py": "from gateway.model.x import X\nfrom gateway import errors\n",
        "storage/s.py": "import gateway.codec.er7\n",
        "serve/http.py": "import flask\nfrom gateway.ihe import iti8\n",
        "ihe/iti8.py": "from gateway import settings\n",
        "settings.py": "from gateway.model import x\n",
        "cli/serve.py": "def run():\n    from gateway import app\n    import flask\n",
        "app.py": "from gateway.storage import s\nfrom gateway.serve import http\n",
        "__main__.py": "from gateway.cli import main\n",
    }
    assert breaches(good) == []


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("codec/a.py", "from gateway.translate import b\n", "codec -> translate"),
        ("model/a.py", "import gateway.ports\n", "model -> ports"),
        ("services/a.py", "from gateway.storage.schema import resource\n", "services -> storage"),
        ("ihe/a.py", "from gateway import storage\n", "ihe -> storage"),
        ("serve/a.py", "import gateway.storage as s\n", "serve -> storage"),
        ("storage/a.py", "from gateway.translate import b\n", "storage -> translate"),
        ("storage/a.py", "from gateway.services import b\n", "storage -> services"),
        ("storage/a.py", "from gateway import settings\n", "storage -> settings"),
        ("translate/a.py", "from gateway.settings import Settings\n", "translate -> settings"),
        ("sandbox/a.py", "from gateway.services import b\n", "sandbox -> services"),
        ("services/a.py", "from gateway.sandbox import b\n", "services -> sandbox"),
        ("cli/a.py", "from gateway import app\n", "cli -> app"),
        ("cli/a.py", "def f():\n    from gateway.storage import schema\n", "cli -> storage"),
        ("fhir/a.py", "if TYPE_CHECKING:\n    from gateway.ihe import b\n", "fhir -> ihe"),
        ("codec/a.py", "import importlib\nimportlib.import_module('gateway.services.b')\n", "codec -> services"),
        ("services/a.py", "def f():\n    from gateway.model import code\n", "import of model inside a function"),
        ("services/a.py", "class A:\n    async def f(self):\n        import gateway.codec\n", "inside a function"),
        ("model/a.py", "from . import b\n", "relative import"),
        ("model/a.py", "from ..errors import E\n", "relative import"),
        ("ihe/a.py", "import flask\n", "ihe imports flask"),
        ("fhir/a.py", "def f():\n    from werkzeug.wrappers import Request\n", "fhir imports werkzeug"),
        ("codec/a.py", "import asyncio\n", "codec imports asyncio"),
        ("attic/a.py", "", "attic is not a room"),
        ("model/a.py", "x = 1\n" * 801, "more than 800 lines"),
    ],
)
def test_each_breach_is_named(breaches: Tree, module: str, source: str, says: str) -> None:
    found = breaches({module: source})
    assert any(says in line and module in line for line in found), found


def test_a_package_without_readme_or_with_a_long_one(breaches: Tree, tmp_path: Path) -> None:
    assert breaches({"model/a.py": ""}) == []
    (tmp_path / "gateway" / "model" / "README.md").unlink()
    assert check(tmp_path / "gateway") == ["gateway/model: no README.md"]
    (tmp_path / "gateway" / "model" / "README.md").write_text("line\n" * 21)
    assert check(tmp_path / "gateway") == ["gateway/model/README.md: more than 20 lines"]


def test_a_cycle_is_found_and_a_deferred_one_is_not_one(tmp_path: Path) -> None:
    package = tmp_path / "gateway" / "model"
    package.mkdir(parents=True)
    (package / "a.py").write_text("from gateway.model.b import B\n")
    (package / "b.py").write_text("from gateway.model import c\n")
    (package / "c.py").write_text("import gateway.model.a\n")
    (package / "d.py").write_text("import gateway.model.a\n")
    assert cycles(tmp_path / "gateway") == [["gateway.model.a", "gateway.model.b", "gateway.model.c"]]
    (package / "c.py").write_text("def f():\n    import gateway.model.a\n")
    assert cycles(tmp_path / "gateway") == []


def test_the_spine_only_points_down() -> None:
    for high, room in enumerate(SPINE):
        assert not MAY_IMPORT[room] & set(SPINE[high + 1 :])
