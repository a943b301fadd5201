"""`musubi doctor`: is this node fit to run? Every check is one line; nothing is changed but what opening changes."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import typer

from gateway.cli._frame import DONE, FINDINGS, UNREACHABLE, ConfigOption, JsonOption, app, need, print_json, settings_of
from gateway.errors import ConfigurationError, GatewayError, Unavailable
from gateway.settings import Peer, Settings, check_may_serve

PEER_TIMEOUT_S: Final = 3.0
BODY: Final = 64 * 1024
DISK_LOW: Final = 2 * 1024**3
"""Bytes. A region's day of messages is well below; less than this is time to act."""
DISK_FULL: Final = 100 * 1024**2
"""Bytes. SQLite needs room for its write-ahead log (64 MiB) before it can give anything back."""
SKEW: Final = timedelta(seconds=60)
"""Peers further apart than this refuse each other's assertions later, and audit trails no longer line up."""
EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Before this program was written: a machine that lost its clock says 1970 or 2000."""

Status = Literal["ok", "warning", "error"]


class Check(NamedTuple):
    check: str
    status: Status
    text: str
    unreachable: bool = False
    """An error of somebody else: exit 3, when there is no error of our own."""


Asking = Callable[[], Any]
"""A new requests.Session: of open mode, or with our certificate."""


class Answer(NamedTuple):
    status: int
    date: str
    body: bytes


def _plain_session() -> Any:
    import requests

    session = requests.Session()
    session.trust_env = False
    return session


@app.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Check configuration, storage, disk, clock and peers. Exit 0 also with warnings, 1 an error, 3 a silent part."""
    from gateway.model.clock import Clock

    found: list[Check] = []
    for check in _checks(config, Clock().now):
        found.append(check)
        if not as_json:
            typer.echo(f"{check.status:<8}{check.check}: {check.text}")
    if as_json:
        print_json({"checks": [{"check": c.check, "status": c.status, "text": c.text} for c in found]})
    errors = [check for check in found if check.status == "error"]
    if any(not check.unreachable for check in errors):
        return FINDINGS
    return UNREACHABLE if errors else DONE


def _checks(config: Path | None, now: Callable[[], datetime]) -> Iterator[Check]:
    need([config] if config else [])
    try:
        settings = settings_of(config)
        blobs = settings.blob_directory
    except ConfigurationError as error:
        yield Check("configuration", "error", str(error))
        return
    try:
        check_may_serve(settings, ("http", "mllp"))
        yield Check("configuration", "ok", f"{settings.community.name} ({settings.community.id})")
    except ConfigurationError as error:
        yield Check("configuration", "error", str(error))
    yield from authorities(settings)
    yield from communities(settings)
    newest = ""
    if settings.database_file and not settings.database_file.exists():
        yield Check("storage", "warning", "no database yet; musubi ingest and musubi serve make it")
        yield writable("storage", settings.database_file.parent)
    else:
        check, newest = storage(settings)
        yield check
        if check.status == "ok":
            yield notifications(settings)
    yield writable("blobs", blobs) if blobs else bucket(settings)
    for name, folder in (("database", settings.database_file), ("blobs", blobs)):
        if folder:
            yield space(name, shutil.disk_usage(_existing(folder)).free)
    yield clock(now(), newest)
    found, asking = keys(settings, now())
    yield from found
    yield own_port(settings, asking)
    with ThreadPoolExecutor(max_workers=8) as pool:
        for checks in pool.map(lambda peer: list(reach(peer, now, asking)), settings.peers):
            yield from checks


def authorities(settings: Settings) -> Iterator[Check]:
    """What [[authorities]] lacks for the ids to come out as they should."""
    before = len(settings.authorities)
    facilities = [one for one in settings.authorities if one.kind == "facility"]
    words = []
    if not facilities:
        words.append("no facility is known: ids are made under an OID derived from the sender's name")
    words += [
        f"{one.oid} has neither namespace nor institution, so that no message is taken for its own"
        for one in facilities
        if not (one.namespace or one.aliases or one.institution)
    ]
    twice = [number for number, n in Counter(one.institution for one in facilities if one.institution).items() if n > 1]
    words += [f"institution {number} stands for two facilities" for number in twice]
    if settings.peers and not any(one.kind in ("medical-id", "insurer") for one in settings.authorities):
        words.append("no medical-id or insurer authority: peers can only be asked by numbers they share by chance")
    yield from (Check("authorities", "warning", text) for text in words)
    if not words:
        yield Check("authorities", "ok", f"{before}, {len(facilities)} of them facilities")


def communities(settings: Settings) -> Iterator[Check]:
    """Home community ids have to be different, or answers cannot be told apart."""
    ids = Counter([settings.community.id, *(peer.id for peer in settings.peers)])
    for id_, n in ids.items():
        if n > 1:
            yield Check("communities", "error", f"{id_} stands {n} times among this node and its peers")
    for peer in settings.peers:
        if not (peer.xca or peer.fhir or peer.xcpd):
            yield Check("communities", "warning", f"{peer.name or peer.id} has no address and is never asked")
    if settings.community.affinity_domain in {one.oid for one in settings.authorities if one.kind == "facility"}:
        yield Check("communities", "error", "affinity_domain is also the OID of a facility: ids of both would mix")


def storage(settings: Settings) -> tuple[Check, str]:
    """Opens the database (and brings it up to date), has it check itself. With it meta.lastUpdated of its youngest."""
    from gateway import app as parts

    try:
        with parts.storage(settings) as store:
            wrong = parts.integrity(store)
            newest = parts.newest(store)
    except Unavailable as error:
        return Check("storage", "error", str(error), unreachable=True), ""
    except GatewayError as error:
        return Check("storage", "error", str(error)), ""
    if wrong:
        return Check("storage", "error", f"the database is damaged: {'; '.join(wrong)[:300]}"), newest
    return Check("storage", "ok", "opens, and its check of itself found nothing"), newest


def notifications(settings: Settings) -> Check:
    """Whether somebody should look at notifications that nobody took."""
    from gateway import app as parts

    try:
        with parts.storage(settings) as store:
            counts = store.subscriptions.counts()
    except GatewayError as error:
        return Check("notifications", "error", str(error), unreachable=isinstance(error, Unavailable))
    if counts["parked"]:
        return Check("notifications", "warning", f"{counts['parked']} are parked; musubi notifications list shows them")
    return Check("notifications", "ok", f"{counts['open']} wait, none is parked")


def bucket(settings: Settings) -> Check:
    """Whether the object store answers and takes something."""
    from gateway import app as parts

    try:
        parts.check_blobs(settings)
    except Unavailable as error:
        return Check("blobs", "error", str(error), unreachable=True)
    except ConfigurationError as error:
        return Check("blobs", "error", str(error))
    return Check("blobs", "ok", f"{settings.blobs.url} can be written")


def writable(name: str, folder: Path) -> Check:
    """Whether files can be made in a folder, or where it would be made."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return Check(name, "ok", f"{folder} can be written")
    except OSError as error:
        return Check(name, "error", f"{folder}: {error.strerror}")


def _existing(path: Path) -> Path:
    """The path, or its nearest parent that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def space(name: str, free: int) -> Check:
    status: Status = "error" if free < DISK_FULL else "warning" if free < DISK_LOW else "ok"
    return Check("disk", status, f"{free / 1024**3:,.1f} GiB free for {name}")


def clock(now: datetime, newest: str) -> Check:
    """`newest` is a FHIR instant or empty."""
    if now < EARLIEST:
        return Check("clock", "error", f"this machine says {now:%Y-%m-%d}: its clock is not set")
    if newest and datetime.fromisoformat(newest) > now + SKEW:
        return Check("clock", "error", f"the store holds something of {newest}, later than now: the clock went back")
    return Check("clock", "ok", f"{now:%Y-%m-%dT%H:%M:%SZ}" + (f", last change {newest}" if newest else ""))


def own_port(settings: Settings, asking: Asking = _plain_session) -> Check:
    answer = _get(f"{settings.base_url}/readyz", asking)
    if isinstance(answer, str):
        return Check("node", "ok", f"not running at {settings.base_url}")
    try:
        ready = bool(json.loads(answer.body)["ready"])
    except (ValueError, KeyError, TypeError):
        return Check("node", "error", f"another program answers at {settings.base_url}")
    return Check("node", "ok" if ready else "warning", "runs" if ready else "runs, but is not ready")


def reach(peer: Peer, now: Callable[[], datetime], asking: Asking = _plain_session) -> Iterator[Check]:
    """One line an address of the peer, and one when its clock is another."""
    skew = timedelta()
    for word, url, path in (("xca", peer.xca, "?wsdl"), ("xcpd", peer.xcpd, "?wsdl"), ("fhir", peer.fhir, "/metadata")):
        if not url:
            continue
        name = f"{peer.name or peer.id}, {word} at {url}"
        answer = _get(url.rstrip("/") + path, asking)
        if isinstance(answer, str):
            yield Check("peer", "error", f"{name}: {answer}", unreachable=True)
            continue
        # Somebody is there; 401 or 404 to this harmless question may be their policy.
        status: Status = "ok" if answer.status < 400 else "warning"
        yield Check("peer", status, f"{name}: HTTP {answer.status}")
        theirs = _date(answer.date)
        skew = max(skew, abs(theirs - now()) if theirs else skew)
    if skew > SKEW:
        yield Check("peer", "warning", f"{peer.name or peer.id}: its clock is {skew.total_seconds():.0f} s from ours")


def keys(settings: Settings, now: datetime) -> tuple[list[Check], Asking]:
    """Certificates, keys and lists of enforced mode, and how to ask with them; nothing to check in open mode."""
    if settings.security.mode == "open":
        return [], _plain_session
    from gateway.model.clock import Clock
    from gateway.serve import outgoing
    from gateway.serve.enforcing import contexts_of
    from gateway.services.trust import anchors

    found = [_secret(path) for path in anchors.secret_files(settings) if path.exists()]
    try:
        contexts = contexts_of(settings, Clock())
    except ConfigurationError as error:
        return [*found, Check("keys", "error", str(error))], _plain_session
    held = contexts.anchors()
    named = [("our certificate", held.certificate)]
    named += [("the CA", one) for one in held.authorities]
    named += [(f"issuer {name}", one) for name, issuer in held.saml.items() for one in issuer.certificates]
    found += [_until(words, one.not_valid_after_utc, now) for words, one in named]
    if held.revoked.until is not None:
        found.append(_until("the revocation list", held.revoked.until, now, (timedelta(hours=12), timedelta(hours=1))))
    return found, lambda: outgoing.session(contexts, {})


def _secret(path: Path) -> Check:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return Check("keys", "error", f"{path.name} can be read by others (mode {mode:03o}; chmod 600)")
    return Check("keys", "ok", f"{path.name} is the node's alone")


def _until(
    words: str,
    ends: datetime,
    now: datetime,
    warn: tuple[timedelta, timedelta] = (timedelta(days=30), timedelta(days=1)),
) -> Check:
    """A warning from the first time on, an error from the second."""
    left = ends - now
    status: Status = "error" if left < warn[1] else "warning" if left < warn[0] else "ok"
    return Check("keys", status, f"{words} until {ends:%Y-%m-%d %H:%M}Z")


def _get(url: str, asking: Asking = _plain_session) -> Answer | str:
    """The answer, or why there is none."""
    import requests
    from urllib3.exceptions import HTTPError

    with asking() as session:
        try:
            with session.get(url, timeout=PEER_TIMEOUT_S, allow_redirects=False, stream=True) as response:
                # One read is enough of a body: who answers for ever must not hold the doctor up.
                return Answer(response.status_code, response.headers.get("Date", ""), response.raw.read(BODY))
        except requests.Timeout:
            return f"no answer within {PEER_TIMEOUT_S:.0f} s"
        except requests.exceptions.SSLError:
            return "its certificate is not accepted"
        except (requests.ConnectionError, HTTPError):
            return "no connection"
        except (requests.RequestException, ValueError) as error:
            return f"no usable address ({type(error).__name__})"


def _date(header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(header)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
