"""`musubi demo`: 東京, 大阪 and 長崎 as three communities on this machine, fed and asked over their real interfaces."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from gateway.cli._frame import DONE, FINDINGS, UNREACHABLE, JsonOption, app, print_json
from gateway.cli._node import ask_node
from gateway.cli.query import ANSWERED, show
from gateway.codec.mllp import Decoder, frame
from gateway.errors import ConfigurationError, Unavailable

ARC = "1.2.392.200119.99999"
"""Test arc of OIDs: nothing below it means anything outside tests."""
MEDICAL_ID = f"{ARC}.3"
PATIENT = f"9900000000000017^^^&{MEDICAL_ID}&ISO"
"""見本 結子, a fictitious patient, by her medical ID."""
HTTP_PORT, MLLP_PORT = 8080, 2575
START_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0


class Site(NamedTuple):
    folder: str
    name: str
    arc: str
    """Of the community, below the test arc."""
    hospital: str
    namespace: str
    facility: str
    institution: str


SITES = (
    Site("tokyo", "東京", f"{ARC}.1", "架空東京総合病院", "TOKYO-HP", f"{ARC}.2", "1310000001"),
    Site("osaka", "大阪", f"{ARC}.20", "架空大阪医療センター", "OSAKA-HP", f"{ARC}.22", "2710000001"),
    Site("nagasaki", "長崎", f"{ARC}.40", "架空長崎病院", "NAGASAKI-HP", f"{ARC}.42", "4210000001"),
)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Ask one question, print the answer, stop.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Begin with empty databases.")] = False,
    directory: Annotated[Path, typer.Option("--dir", help="Where the three nodes live.")] = Path("musubi-demo"),
    port: Annotated[int, typer.Option(help="HTTP port of 東京; the others follow.", min=1024, max=65000)] = HTTP_PORT,
    mllp_port: Annotated[
        int,
        typer.Option(help="MLLP port of 東京; 2575, or with another --port the one after the HTTP ports.", max=65000),
    ] = 0,
    as_json: JsonOption = False,
) -> int:
    """Three communities on embedded storage: a patient's labs and prescriptions found by her medical ID."""
    samples = _samples()
    mllp_port = mllp_port or (MLLP_PORT if port == HTTP_PORT else port + len(SITES))
    _need_free(range(port, port + len(SITES)), "--port")
    _need_free(range(mllp_port, mllp_port + len(SITES)), "--mllp-port")
    if reset and directory.exists():
        _remove(directory)
    configs = [_configure(directory, number, port, mllp_port + number) for number in range(len(SITES))]
    say = _say if not as_json else _silent
    with _sigterm_like_ctrl_c(), ExitStack() as stack:
        for site, config in zip(SITES, configs, strict=True):
            say(f"{site.name}: reading the storage of {site.hospital}")
            _feed(config, samples / site.folder / site.institution)
        for number, config in enumerate(configs):
            stack.enter_context(_running(config, port + number))
        for number, site in enumerate(SITES):
            if message := _newest_lab(samples / site.folder / site.institution):
                code = _send(mllp_port + number, message.read_bytes())
                say(f"{site.name}: one more lab result (検体検査結果) over MLLP, answered {code}")
        say(f"東京 asks all communities for the labs (検査) and prescriptions (処方) of {PATIENT}\n")
        answer = ask_node(f"http://127.0.0.1:{port}", "/api/query", 30, {"patient": PATIENT, "types": ["lab", "rx"]})
        if as_json:
            print_json(answer)
        else:
            show(answer)
        if not once:
            _keep_serving(port, say)
    complete = all(one["outcome"] in ANSWERED for one in answer["communities"])
    return UNREACHABLE if not complete else DONE if answer["rows"] else FINDINGS


def _need_free(ports: range, option: str) -> None:
    """Before a minute's work: a taken port is the commonest reason why a demo does not start."""
    for port in ports:
        with socket.socket() as probe:
            if sys.platform != "win32":  # as the server does it; on Windows the option would take a used port over
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Unavailable(f"port {port} is in use; musubi demo {option} N takes N and the next two") from None


def _say(words: str) -> None:
    typer.echo(words)


def _silent(words: str) -> None:
    """With --json only the answer is printed."""


def _samples() -> Path:
    """The demo's storages: beside the package in an installation, in fixtures/ of a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_fixtures" / "demo", package.parent / "fixtures" / "demo"):
        if folder.is_dir():
            return folder
    raise ConfigurationError("the demo's sample storages are not installed")


def _remove(directory: Path) -> None:
    """Only a folder the demo made is removed."""
    if not (directory / SITES[0].folder / "musubi.toml").is_file():
        raise ConfigurationError(f"{directory} was not made by the demo; it is not removed")
    shutil.rmtree(directory)


def _configure(directory: Path, number: int, port: int, mllp_port: int) -> Path:
    """Writes one node's musubi.toml; what it stored before stays."""
    site = SITES[number]
    folder = directory / site.folder
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "[community]",
        f'id = "urn:oid:{site.arc}"',
        f'name = "{site.name}"',
        f'affinity_domain = "{site.arc}.1"',
        f'repository = "{site.arc}.2"',
        f"[http]\nport = {port + number}",
        f"[mllp]\nport = {mllp_port}",
        '[security]\nmode = "open"',
        f'[[authorities]]\noid = "{site.facility}"\nnamespace = "{site.namespace}"\nname = "{site.hospital}"',
        f'institution = "{site.institution}"',
        f'[[authorities]]\noid = "{MEDICAL_ID}"\nnamespace = "MEDICAL-ID"\nname = "医療等ID"\nkind = "medical-id"',
    ]
    for other, peer in enumerate(SITES):
        if other != number:
            address = f"http://127.0.0.1:{port + other}"
            lines.append(f'[[peers]]\nid = "urn:oid:{peer.arc}"\nname = "{peer.name}"')
            lines.append(f'xcpd = "{address}/xcpd"\nxca = "{address}/xca"\nfhir = "{address}/fhir"')
    config = folder / "musubi.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def _musubi(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *arguments]


def _newest_lab(storage: Path) -> Path | None:
    """A site's youngest valid laboratory result: it is kept back, to come over MLLP as in a hospital's day."""
    found = storage.rglob("*_OML-11_*_1")
    return max(found, key=lambda path: path.name.split("_")[4], default=None)


def _feed(config: Path, storage: Path) -> None:
    kept_back = _newest_lab(storage)
    files = [str(path) for path in sorted(storage.rglob("*")) if path.is_file() and path != kept_back]
    done = subprocess.run(
        _musubi("ingest", *files, "--config", str(config), "--json"), capture_output=True, text=True, check=False
    )
    if done.returncode != DONE:
        raise Unavailable(f"musubi ingest {storage} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    json.loads(done.stdout.splitlines()[-1])


def _send(port: int, message: bytes) -> str:
    """One message over MLLP. Returns MSA-1 of its acknowledgement: AA, AE or AR."""
    decoder = Decoder(64 * 1024)
    with socket.create_connection(("127.0.0.1", port), timeout=START_WITHIN_S) as wire:
        wire.sendall(frame(message))
        while data := wire.recv(4096):
            for block in decoder.feed(data):
                return block.data.partition(b"\rMSA|")[2][:2].decode("ascii", "replace")
    raise Unavailable(f"the node at MLLP port {port} did not acknowledge a message")


@contextmanager
def _running(config: Path, port: int) -> Iterator[None]:
    """One node as a process of its own; stopped, and killed if it does not stop, when the block ends."""
    log = config.parent / "serve.log"
    with log.open("ab") as out:
        node = subprocess.Popen(_musubi("serve", "--config", str(config)), stdout=out, stderr=subprocess.STDOUT)
        try:
            _await_ready(node, port, log)
            yield
        finally:
            _stop(node)


def _await_ready(node: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    import requests

    deadline = time.monotonic() + START_WITHIN_S
    session = requests.Session()
    session.trust_env = False  # the node is on this machine: no proxy stands between
    while time.monotonic() < deadline:
        if node.poll() is not None:
            words: Any = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise Unavailable(words[-1].removeprefix("musubi: ") if words else f"a node ended with {node.returncode}")
        try:
            if session.get(f"http://127.0.0.1:{port}/readyz", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise Unavailable(f"the node at port {port} was not ready within {START_WITHIN_S:.0f} s (see {log})")


def _stop(node: "subprocess.Popen[bytes]") -> None:
    if node.poll() is None:
        node.send_signal(signal.SIGTERM)
        try:
            node.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def _keep_serving(port: int, say: Any) -> None:
    # Told to stop from here on is the wished end, also between the last word and the waiting.
    with suppress(KeyboardInterrupt):
        for number, site in enumerate(SITES):
            say(f"{site.name}: http://127.0.0.1:{port + number}/fhir")
        say("Ctrl-C stops the demo")
        while True:
            time.sleep(3600)


@contextmanager
def _sigterm_like_ctrl_c() -> Iterator[None]:
    """So that `docker stop` and the like stop the three nodes too, at whatever moment they come."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
