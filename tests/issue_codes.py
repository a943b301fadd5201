"""Issue codes as the program uses them, read from its syntax, and the page docs/issues.md made of the table.

`python -m tests.issue_codes` writes the page again.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway import mapping_files

ROOT = Path(__file__).resolve().parents[1]
TABLE = mapping_files.path("issue-codes.csv")
PAGE = ROOT / "docs" / "issues.md"

SEVERITIES = ("fatal", "error", "warning", "information")

CALLS: dict[str, tuple[int | str, int]] = {
    "Issue": (0, 1),
    "issue": (0, 1),
    "bad_field": ("warning", 3),
    "Reject": (2, 3),
    "Rejected": ("error", 0),
    "warn": ("warning", 0),
    "_warn": ("warning", 0),
    "_not_read": ("fatal", 1),
}
"""Callable -> (position of the severity, or the severity it stands for; position of the code)."""

REJECTED_SEVERITY = 2
"""Rejected takes a severity as third argument, when it is not an error."""


class Use(NamedTuple):
    code: str
    severity: str
    """Empty where the place only counts."""
    place: str


def rows() -> list[dict[str, str]]:
    return list(mapping_files.read_csv(TABLE))


def markdown() -> str:
    """docs/issues.md"""
    lines = [
        "# Issue codes (指摘コード)",
        "",
        "Stable words in `convert --explain`, in the summary of `ingest`, in `rejects.jsonl` and in the log. Made from",
        "`mappings/issue-codes.csv` by `python -m tests.issue_codes`; change the table, not this page.",
        "",
        "`fatal`: the input cannot be read. `error`: a finding that makes `convert` end with 1; `ingest` stores nothing of a",
        "message whose code says so here. `warning`: the result stands, look at the source. `information`: nothing to do.",
        "",
        "| code | severity | meaning | 意味 |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{row['code']}` | {', '.join(row['severity'].split('|'))} | {row['en']} | {row['ja']} |" for row in rows()
    ]
    return "\n".join(lines) + "\n"


def uses_in(source: str, file: str) -> list[Use]:
    """Every code one module gives out as a literal. Raises ValueError where a code is put together at run time, which
    nobody could look up."""
    return list(_Module(ast.parse(source), file).uses())


def uses(folder: Path) -> list[Use]:
    found: list[Use] = []
    for path in sorted(folder.rglob("*.py")):
        # gateway/profiles speaks in http://hl7.org/fhir/issue-type, which is not ours to list.
        if path.relative_to(folder).parts[0] != "profiles":
            found += uses_in(path.read_text("utf-8"), path.relative_to(folder.parent).as_posix())
    return found


class _Module:
    def __init__(self, tree: ast.Module, file: str) -> None:
        self._tree, self._file = tree, file
        self._scopes: dict[ast.AST, ast.AST] = {}
        self._note_scopes(tree, tree)

    def _note_scopes(self, node: ast.AST, scope: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._scopes[child] = scope
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            self._note_scopes(child, child if inner else scope)

    def uses(self) -> Iterator[Use]:
        for node in ast.walk(self._tree):
            place = f"{self._file}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                yield from self._call(node, place)
            elif isinstance(node, ast.Tuple):
                yield from _triple(node, place)
            elif isinstance(node, ast.Dict):
                yield from self._written(node, place)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
                yield from self._counted(node.target, place)

    def _call(self, call: ast.Call, place: str) -> Iterator[Use]:
        name = _name(call.func)
        if any(isinstance(argument, ast.Starred) for argument in call.args):
            return
        if name == "Finding" and self._file.startswith("gateway/ihe/"):
            yield from self._pairs("warning", call.args[0], place)
        elif name == "append" and isinstance(call.func, ast.Attribute) and _name(call.func.value) == "problems":
            if isinstance(call.args[0], ast.Constant):
                yield from self._pairs("warning", call.args[0], place)
        elif name in CALLS and len(call.args) > CALLS[name][1]:
            severity, code = CALLS[name]
            if name == "Rejected" and len(call.args) > REJECTED_SEVERITY:
                severity = REJECTED_SEVERITY
            level = severity if isinstance(severity, str) else call.args[severity]
            yield from self._pairs(level, call.args[code], place)

    def _written(self, node: ast.Dict, place: str) -> Iterator[Use]:
        """An issue written as a JSON object; `where` tells it from an OperationOutcome's, which has FHIR's codes."""
        values = {_text(key): value for key, value in zip(node.keys, node.values, strict=True)}
        if {"severity", "code", "where"} <= values.keys():
            yield from self._pairs(values["severity"], values["code"], place)

    def _counted(self, target: ast.Subscript, place: str) -> Iterator[Use]:
        if _name(target.value) == "issues":
            yield from self._pairs("", target.slice, place)

    def _pairs(self, severity: str | ast.expr, code: ast.expr, place: str) -> Iterator[Use]:
        levels = {severity} if isinstance(severity, str) else self._texts(severity, place) or {""}
        for found in sorted(self._texts(code, place)):
            for level in sorted(levels):
                yield Use(found, level, place)

    def _texts(self, node: ast.expr, place: str) -> set[str]:
        """The literals an expression may be; empty when the value was made elsewhere (an attribute, an argument)."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self._texts(node.body, place) | self._texts(node.orelse, place)
        if isinstance(node, ast.Attribute):
            return set()
        if isinstance(node, ast.Name):
            return self._named(node, place)
        raise ValueError(f"{place}: the code or severity is put together at run time: {ast.unparse(node)}")

    def _named(self, name: ast.Name, place: str) -> set[str]:
        scope = self._scopes[name]
        while True:
            found: set[str] = set()
            bound = name.id in _parameters(scope)
            for node in ast.walk(scope):
                targets = node.targets if isinstance(node, ast.Assign) else ()
                if any(isinstance(target, ast.Name) and target.id == name.id for target in targets):
                    bound = True
                    found |= self._texts(node.value, place)
                bound = bound or (isinstance(node, ast.For | ast.comprehension) and name.id in _names(node.target))
            if bound:
                return found
            if scope is self._tree:
                raise ValueError(f"{place}: {name.id} is bound nowhere in sight")
            scope = self._scopes[scope]


def _parameters(scope: ast.AST) -> set[str]:
    arguments = getattr(scope, "args", None)
    if not isinstance(arguments, ast.arguments):
        return set()
    return {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _names(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _triple(node: ast.Tuple, place: str) -> Iterator[Use]:
    """("warning", "not-a-number", "words"): how lab_values hands issues to its caller."""
    texts = [part.value for part in node.elts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if len(texts) == len(node.elts) == 3 and texts[0] in SEVERITIES and " " in texts[2]:
        yield Use(texts[1], texts[0], place)


if __name__ == "__main__":
    PAGE.write_text(markdown(), "utf-8")
