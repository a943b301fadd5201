"""musubi.toml: what is taken, what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import ConfigurationError
from gateway.settings import Settings, check_may_serve, load


@pytest.fixture
def refused(tmp_path: Path) -> Any:
    """The words with which a configuration is refused."""

    def words(toml: str | bytes, **environment: str) -> str:
        config = tmp_path / "musubi.toml"
        config.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        with pytest.raises(ConfigurationError) as caught:
            load(config, environment)
        assert "\n" not in str(caught.value).partition("TOML")[0]
        return str(caught.value).replace(str(tmp_path), "DIR")

    return words


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    def settings(toml: str, **environment: str) -> Settings:
        config = tmp_path / "musubi.toml"
        config.write_text(toml, "utf-8")
        return load(config, environment)

    return settings


def test_without_a_file_the_mode_is_open_and_with_one_it_has_to_be_said(loaded: Any) -> None:
    assert load(None, {}).security.mode == "open"
    assert loaded("").security.mode == "enforced"


def test_the_environment_wins(loaded: Any) -> None:
    settings = loaded("[http]\nport = 1\n", MUSUBI_HTTP__PORT="2", MUSUBI_COMMUNITY__NAME="長崎", PATH="/bin")
    assert settings.http.port == 2 and settings.community.name == "長崎"


@pytest.mark.parametrize("name", ["MUSUBI_", "MUSUBI__", "MUSUBI_FHIR_PACKAGES", "OTHER_HTTP__PORT", "MUSUBI___X"])
def test_a_variable_that_names_no_key_is_nothing_to_us(loaded: Any, name: str) -> None:
    assert loaded("", **{name: "7"}) == loaded("")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[comunity]", "DIR/musubi.toml: unknown key 'comunity' (did you mean 'community'?)"),
        ("[community]\nnam = 'x'", "DIR/musubi.toml: unknown key 'community.nam' (did you mean 'name'?)"),
        (
            "[[authorities]]\noid = '1.2'\nkindd = 'x'",
            "DIR/musubi.toml: unknown key 'authorities.0.kindd' (did you mean 'kind'?)",
        ),
        (
            "[[peers]]\nid = 'urn:oid:1.2'\nurl = 'x'",
            "DIR/musubi.toml: unknown key 'peers.0.url' "
            "(known here: audience, documents_per_request, fhir, fhir_audience, homes, id, name, timeout_s, xca, xcpd)",
        ),
        ("directory = '/'", "unknown key 'directory' (paths count from the folder of the configuration file)"),
        ("[[authorities]]\noid = 'TOKYO'", "authorities.0.oid has to be an OID: numbers with points between them"),
        ("[[authorities]]\noid = '1.02'", "authorities.0.oid has to be an OID"),
        ("[[authorities]]\noid = '1.2\\n'", "authorities.0.oid has to be an OID"),
        ("[[authorities]]\nnamespace = 'A'", "authorities.0.oid: Field required"),
        ("[[authorities]]\noid = '1.2'\nkind = 'clinic'", "authorities.0.kind: Input should be 'facility', "),
        ("[[authorities]]\noid = '1.2'\ninstitution = '123'", "the 10 digits of a 医療機関番号"),
        ("[community]\nid = '1.2.3'", "community.id has to be urn:oid: and an OID"),
        ("[community]\nid = 'urn:oid:1" + ".1" * 40 + "'", "community.id: String should have at most 72 characters"),
        (
            "[database]\nurl = 'musubi.db'",
            "database.url has to be a database URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
        ),
        ("[http]\nport = 0", "http.port: Input should be greater than or equal to 1"),
        ("[http]\nport = 65536", "http.port: "),
        ("[security]\nmode = 'opn'", "security.mode: Input should be 'open' or 'enforced'"),
        ("community = 3", "community has to be a table, [community]"),
        ("[authorities]\noid = '1.2'", "authorities: "),
        ("a = ", "DIR/musubi.toml: Invalid value"),
        ("[federation]\ndeadline_s = 0", "federation.deadline_s: "),
    ],
)
def test_what_is_wrong_is_said_with_its_key(refused: Any, toml: str, words: str) -> None:
    assert words in refused(toml)


def test_a_wrong_variable_is_named_as_the_variable(refused: Any) -> None:
    assert refused("", MUSUBI_HTTP__PORT="x").startswith("MUSUBI_HTTP__PORT: http.port: ")
    assert refused("", MUSUBI_HTTP__PRT="1").startswith("MUSUBI_HTTP__PRT: unknown key 'http.prt' (did you mean 'port'")
    assert "file" in refused("", MUSUBI_PEERS__ID="x") and "MUSUBI_PEERS__ID" in refused("", MUSUBI_PEERS__ID="x")
    assert "MUSUBI_HTTP__PORT" in refused("http = 1", MUSUBI_HTTP__PORT="1")


def test_a_file_of_windows_notepad(loaded: Any, refused: Any) -> None:
    assert loaded("\ufeff[community]\r\nname = '東京'\r\n").community.name == "東京"
    assert "not UTF-8 text (byte 20)" in refused("[community]\nname = '東京'".encode("shift_jis"))


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="musubi init DIR writes one"):
        load(tmp_path / "nix.toml", {})
    with pytest.raises(ConfigurationError, match="directory"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ('oid = "1.2.3"\nnamespace = "Y"', "1.2.3 has two blocks"),
        ('oid = "1.2.4"\nnamespace = "X"', "'X' names two authorities (1.2.3, 1.2.4)"),
        ('oid = "1.2.4"\naliases = ["X"]', "'X' names two authorities (1.2.3, 1.2.4)"),
        ('oid = "1.2.4"\nnamespace = "1.2.3"', "'1.2.3' names two authorities (1.2.3, 1.2.4)"),
    ],
)
def test_a_name_of_two_authorities(refused: Any, second: str, words: str) -> None:
    assert words in refused(f'[[authorities]]\noid = "1.2.3"\nnamespace = "X"\n[[authorities]]\n{second}\n')


def test_one_authority_may_have_one_name_twice(loaded: Any) -> None:
    assert loaded('[[authorities]]\noid = "1.2.3"\nnamespace = "X"\naliases = ["X"]\n').authorities


def test_paths_count_from_the_folder_of_the_file(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    settings = loaded("")
    assert settings.database_url == f"sqlite:///{tmp_path.resolve()}/musubi.db"
    assert settings.database_file == tmp_path.resolve() / "musubi.db"
    assert settings.blob_directory == tmp_path.resolve() / "blobs"


@pytest.mark.parametrize(
    ("url", "file"),
    [("sqlite:////var/x.db", "/var/x.db"), ("sqlite://", None), ("postgresql+psycopg://h/db", None)],
)
def test_an_absolute_path_and_no_path(loaded: Any, url: str, file: str | None) -> None:
    settings = loaded(f"[database]\nurl = '{url}'\n")
    assert settings.database_url == url and settings.database_file == (Path(file) if file else None)


def test_blobs_are_in_files_or_in_an_object_store(loaded: Any) -> None:
    assert loaded("[blobs]\nurl = 's3://bucket/p'\n").blob_directory is None
    with pytest.raises(ConfigurationError, match="file:FOLDER"):
        loaded("[blobs]\nurl = 'blobs'\n")


def test_a_secret_is_the_first_line_of_its_file(loaded: Any, tmp_path: Path) -> None:
    settings = loaded("")
    (tmp_path / "key").write_text(" abc \n\n")
    assert settings.secret("key", "x") == "abc" and settings.secret("", "x") == ""
    with pytest.raises(ConfigurationError, match="x: No such file"):
        settings.secret("none", "x")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_open_mode_on_loopback_may_be_served(host: str) -> None:
    check_may_serve(Settings.model_validate({"http": {"host": host}, "security": {"mode": "open"}}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example", "", "127.0.0.1.example"])
def test_open_mode_elsewhere_may_not(host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback only"):
        check_may_serve(Settings.model_validate({"http": {"host": host}, "security": {"mode": "open"}}))


def test_enforced_mode_says_what_it_lacks() -> None:
    with pytest.raises(ConfigurationError) as found:
        check_may_serve(Settings())
    for missing in ("tls.cert_file", "tls.key_file", "tls.ca_file", "tls.crl_file", "[[security.nodes]]"):
        assert missing in str(found.value)
    given: dict[str, Any] = {
        "tls": dict.fromkeys(("cert_file", "key_file", "ca_file"), "x.pem") | {"revocation": "soft"},
        "security": {"nodes": [{"cert_file": "a.pem", "id": "urn:oid:1.2"}]},
        "http": {"host": "0.0.0.0"},
    }
    check_may_serve(Settings.model_validate(given))
    given["security"]["saml"] = {"issuer": "x"}
    with pytest.raises(ConfigurationError, match=r"security.saml.cert_file, security.saml.key_file"):
        check_may_serve(Settings.model_validate(given))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("[[security.jwt_issuers]]\nissuer = 'a'\naudience = 'b'", "one of jwks_file, jwks_url"),
        (
            "[[security.jwt_issuers]]\nissuer = 'a'\naudience = 'b'\njwks_file = 'c'\nalgorithms = ['HS256']",
            "security.jwt_issuers.0.algorithms.0",
        ),
        (
            "[[security.jwt_issuers]]\nissuer = 'a'\naudience = 'b'\nintrospection_url = 'https://c'",
            "client_id and client_secret_file",
        ),
        (
            "[[security.saml_issuers]]\nissuer = 'a'\ncert_file = 'b'\naudience = 'c'\nmax_lifetime_s = 14401",
            "security.saml_issuers.0.max_lifetime_s",
        ),
        ("[[security.nodes]]\ncert_file = 'a'\nid = 'b'", "urn:oid:"),
        ("[[security.grants]]\nrole = 'a'\npurposes = ['TREATMENT']\nactions = ['write']\ntypes = []", "actions.0"),
        ("[tls]\nverify = false", "unknown key 'tls.verify'"),
        ("[http]\npublic_url = 'https://a.example/x'", "scheme, host and port"),
    ],
)
def test_what_is_wrong_with_trust_is_said_with_its_key(refused: Any, row: str, words: str) -> None:
    assert words in refused(row)


def test_the_address_of_the_node() -> None:
    def url(host: str) -> str:
        return Settings.model_validate({"http": {"host": host, "port": 81}}).http.url

    assert url("127.0.0.1") == "http://127.0.0.1:81" and url("::1") == "http://[::1]:81"


def test_a_running_node_never_changes_its_mind() -> None:
    with pytest.raises(ValidationError):
        Settings().http.port = 1  # type: ignore[misc]


def test_an_authority_keeps_what_was_configured(loaded: Any) -> None:
    (one,) = loaded(
        '[[authorities]]\noid = "1.2.3"\nnamespace = "A"\nname = "B"\nkind = "insurer"\naliases = ["C"]\n'
        'institution = "1310000001"\n'
    ).authorities
    made = one.authority()
    assert (made.oid, made.namespace, made.name, made.kind) == ("1.2.3", "A", "B", "insurer")
    assert (made.aliases, made.institution) == (("C",), "1310000001")


# -- MLLP -------------------------------------------------------------------------------------------------------------


def test_what_is_not_set_takes_production_only_and_bounds_everything() -> None:
    mllp = Settings().mllp
    assert (mllp.host, mllp.port, mllp.processing_ids, mllp.reused_control_id) == (
        "127.0.0.1",
        2575,
        ("P", "T", "D"),
        "process",
    )
    assert mllp.max_per_address <= mllp.max_connections and mllp.max_in_flight <= mllp.max_waiting


@pytest.mark.parametrize(
    "line",
    [
        'processing_ids = ["X"]', 'reused_control_id = "ignore"', "max_bytes = 40000000", "max_bytes = 100",
        "max_in_flight = 0", "max_waiting = 0", "idle_timeout_s = 0", "block_timeout_s = -1", "workers = 0", "port = 0",
    ],
)  # fmt: skip
def test_mllp_limits_that_make_no_sense_are_refused(refused: Any, line: str) -> None:
    assert f"mllp.{line.split()[0]}" in refused(f"[mllp]\n{line}\n")


def test_each_role_is_checked_for_itself() -> None:
    open_ = {"security": {"mode": "open"}, "mllp": {"host": "0.0.0.0"}}
    check_may_serve(Settings.model_validate(open_), ("http",))
    with pytest.raises(ConfigurationError, match=r"loopback only, but mllp\.host"):
        check_may_serve(Settings.model_validate(open_), ("http", "mllp"))


@pytest.mark.parametrize("way", ["", 'host = "a"\nurl = "http://a/"'])
def test_a_consumer_listens_in_one_way(refused: Any, way: str) -> None:
    assert "host (MLLP) or a url (SOAP)" in refused(f'[[notify]]\nname = "lab"\n{way}\n')
