"""One tree from defaults, file and environment; each value's origin is known and each wrong one names its place."""

import tomllib
from pathlib import Path

import pytest

from groundswell.errors import SettingsError
from groundswell.settings import (
    Settings,
    describe,
    load_settings,
    load_with_origins,
    secrets_of,
    settings_list,
)
from groundswell.settings_pages import settings_example, settings_markdown

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "groundswell.toml"


def test_without_a_file_and_an_environment_every_setting_has_its_default(tmp_path: Path) -> None:
    settings, origins = load_with_origins(environ={}, folder=tmp_path)
    assert settings == Settings()
    assert origins == {}
    assert {line.source for line in describe(settings, origins)} == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(file: Path) -> None:
    file.write_text('[board]\nport = 9000\nhost = "0.0.0.0"\n')
    settings, origins = load_with_origins(path=file, environ={"GROUNDSWELL_BOARD_PORT": "9001"})
    assert (settings.board.port, settings.board.host, settings.board.base_url) == (9001, "0.0.0.0", "http://127.0.0.1:8350")
    assert origins == {"board.port": "environment GROUNDSWELL_BOARD_PORT", "board.host": str(file)}


def test_a_file_is_found_by_argument_then_by_variable_then_in_the_folder(file: Path, tmp_path: Path) -> None:
    file.write_text("[board]\nport = 1001\n")
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    named.write_text("[board]\nport = 1002\n")
    given.write_text("[board]\nport = 1003\n")
    environ = {"GROUNDSWELL_CONFIG": str(named)}
    ports = [
        load_with_origins(environ={}, folder=tmp_path)[0].board.port,
        load_with_origins(environ=environ, folder=tmp_path)[0].board.port,
        load_with_origins(path=given, environ=environ, folder=tmp_path)[0].board.port,
    ]
    assert ports == [1001, 1002, 1003]


def test_a_list_in_the_environment_is_separated_by_commas() -> None:
    environ = {"GROUNDSWELL_MAIL_RECIPIENTS": "desk@bank.example, risk@bank.example ,"}
    assert load_settings(environ=environ).mail.recipients == ("desk@bank.example", "risk@bank.example")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings(environ={"GROUNDSWELL_STORE_URL": "", "GROUNDSWELL_BOARD_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[board]\nprot = 1", ("board.prot", "did you mean board.port", "host, board.port")),
        ("[bord]\nport = 1", ("bord", "did you mean board", "sections are store, data")),
        ("board = 1", ("board", "is a section", "got 1", "write [board]")),
        ('[board]\nport = "9000"', ("board.port", "Expected `int`", "got '9000'", "at most 65535")),
        ("[board]\nport = 0", ("board.port", ">= 1", "got 0")),
        ('[log]\nlevel = "loud"', ("log.level", "'loud'", "one of debug, info, warning, error")),
        ('[mail]\nrecipients = "a@b"', ("mail.recipients", "Expected `array`")),
        ("[mail]\ntimeout_s = nan", ("mail.timeout_s", "nan")),
        ("[board", ("is not TOML", "settings.example.toml")),
    ],
)
def test_a_wrong_line_of_the_file_is_named_with_file_key_rule_and_value(file: Path, text: str, parts: tuple[str, ...]) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path=file, environ={})
    for part in (str(file), *parts):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "parts"),
    [
        ("GROUNDSWELL_BOARD_PORT", "many", ("board.port", "got 'many'")),
        ("GROUNDSWELL_BOARD_PROT", "1", ("did you mean GROUNDSWELL_BOARD_PORT",)),
        ("GROUNDSWELL_STOER_URL", "x.db", ("did you mean GROUNDSWELL_STORE_URL",)),
        ("GROUNDSWELL_BOARD_PORT", "tcp://10.0.0.1:8350", ("enableServiceLinks: false",)),
        ("GROUNDSWELL_STORE_URL", "mysql://u:hunter2@h/d", ("store.url", "postgresql://", "mysql://u:***@h/d")),
        ("GROUNDSWELL_KAFKA_BOOTSTRAP", "broker", ("kafka.bootstrap", "HOST:PORT", "'broker'")),
        ("GROUNDSWELL_BOARD_BASE_URL", "desk.example", ("board.base_url", "https://")),
        ("GROUNDSWELL_SLACK_WEBHOOK_URL", "hooks.example/hunter2", ("slack.webhook_url", "***")),
        ("GROUNDSWELL_MAIL_RECIPIENTS", "desk", ("mail.recipients", "@")),
    ],
)
def test_a_wrong_variable_is_named_and_no_secret_is_repeated(variable: str, value: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={variable: value})
    for part in (variable, *parts):
        assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"GROUNDSWELL_MAIL_HOST": "relay"}, "mail.sender"),
        ({"GROUNDSWELL_MAIL_HOST": "relay", "GROUNDSWELL_MAIL_SENDER": "g@b.example"}, "mail.recipients"),
        ({"GROUNDSWELL_MAIL_USERNAME": "desk"}, "mail.username"),
        ({"GROUNDSWELL_MAIL_USERNAME": "desk", "GROUNDSWELL_MAIL_PASSWORD": "hunter2"}, "mail.tls"),
    ],
)
def test_settings_that_need_each_other_are_asked_for_together(environ: dict[str, str], key: str) -> None:
    with pytest.raises(SettingsError, match=key) as caught:
        load_settings(environ=environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("kafka", "key", "rule"),
    [
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "kafka.security_protocol", "asks for kafka.sasl_username and kafka.sasl_password; set both"),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_USERNAME": "desk"}, "kafka.security_protocol", "asks for kafka.sasl_username and"),
        ({"SASL_USERNAME": "desk"}, "kafka.security_protocol", "must begin with SASL_ where kafka.sasl_username is set, got 'PLAINTEXT'"),
        (
            {"SASL_PASSWORD": "hunter2", "SECURITY_PROTOCOL": "SSL"},
            "kafka.security_protocol",
            "must begin with SASL_ where kafka.sasl_password",
        ),
        ({"TLS_CA_FILE": "ca.pem"}, "kafka.security_protocol", "must be SSL or SASL_SSL where kafka.tls_ca_file is set"),
        ({"TLS_CERT_FILE": "c.pem"}, "kafka.security_protocol", "must be SSL or SASL_SSL where kafka.tls_cert_file is set"),
        ({"TLS_KEY_FILE": "k.pem", "SECURITY_PROTOCOL": "SSL"}, "kafka.tls_key_file", "together with kafka.tls_cert_file, got 'k.pem'"),
        ({"TLS_CHECK_HOSTNAME": "false"}, "kafka.tls_check_hostname", "only where kafka.security_protocol is SSL or SASL_SSL, got 'False'"),
        ({"SECURITY_PROTOCOL": "TLS"}, "kafka.security_protocol", "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ({"TLS_CHECK_HOSTNAME": "perhaps"}, "kafka.tls_check_hostname", "got 'perhaps'; correct the value (true, false)"),
    ],
)
def test_an_impossible_way_to_the_brokers_is_refused_with_rule_and_next_step(kafka: dict[str, str], key: str, rule: str) -> None:
    with pytest.raises(SettingsError, match=key) as caught:
        load_settings(environ={f"GROUNDSWELL_KAFKA_{name}": value for name, value in kafka.items()})
    assert rule in str(caught.value)
    assert "hunter2" not in str(caught.value)


# --- secrets in files of their own ----------------------------------------------------------------------------------------
LOGIN = {"GROUNDSWELL_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "GROUNDSWELL_KAFKA_SASL_USERNAME": "desk"}


def test_a_secret_may_stand_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    held = tmp_path / "password"
    held.write_text("hunter2\n")
    environ = LOGIN | {"GROUNDSWELL_KAFKA_SASL_PASSWORD_FILE": str(held)}
    settings, origins = load_with_origins(environ=environ, folder=tmp_path)
    assert settings.kafka.sasl_password == "hunter2"
    assert origins["kafka.sasl_password"] == "environment GROUNDSWELL_KAFKA_SASL_PASSWORD_FILE"
    assert "hunter2" not in str(describe(settings, origins))
    file.write_text(f'[kafka]\nsasl_password_file = "{held}"\n[store]\nurl_file = "{held}"\n')
    held.write_text("postgresql://desk:hunter2@db/groundswell")
    settings = load_settings(path=file, environ=LOGIN)
    assert settings.store.url == settings.kafka.sasl_password == "postgresql://desk:hunter2@db/groundswell"
    assert load_settings(path=file, environ=LOGIN | {"GROUNDSWELL_STORE_URL": "a.db"}).store.url == "a.db"


@pytest.mark.parametrize(("held", "rule"), [(None, "cannot be read: No such file"), ("", "got nothing"), ("a\nhunter2\n", "got 2 lines")])
def test_a_secrets_file_that_does_not_hold_one_line_is_refused_without_repeating_it(tmp_path: Path, held: str | None, rule: str) -> None:
    path = tmp_path / "password"
    if held is not None:
        path.write_text(held)
    with pytest.raises(SettingsError, match="GROUNDSWELL_MAIL_PASSWORD_FILE") as caught:
        load_settings(environ={"GROUNDSWELL_MAIL_PASSWORD_FILE": str(path)})
    assert rule in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_and_its_file_together_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GROUNDSWELL_MAIL_PASSWORD and GROUNDSWELL_MAIL_PASSWORD_FILE are both set"):
        load_settings(environ={"GROUNDSWELL_MAIL_PASSWORD": "hunter2", "GROUNDSWELL_MAIL_PASSWORD_FILE": str(tmp_path)})
    file.write_text('[mail]\npassword_file = "x"\npassword = "hunter2"\n')
    with pytest.raises(SettingsError, match=r"mail.password and mail.password_file are both given"):
        load_settings(path=file, environ={})


def test_what_is_no_secret_has_no_file_of_its_own() -> None:
    with pytest.raises(SettingsError, match="GROUNDSWELL_BOARD_HOST_FILE: there is no such setting"):
        load_settings(environ={"GROUNDSWELL_BOARD_HOST_FILE": "x"})


def test_the_guard_of_the_logs_is_told_every_secret_and_the_stores_password() -> None:
    environ = LOGIN | {
        "GROUNDSWELL_KAFKA_SASL_PASSWORD": "hunter1",
        "GROUNDSWELL_STORE_URL": "postgresql://desk:hunter%402@db/groundswell",
        "GROUNDSWELL_SLACK_WEBHOOK_URL": "https://hooks.example/hunter3",
    }
    assert secrets_of(load_settings(environ=environ)) == ("hunter1", "https://hooks.example/hunter3", "hunter@2")


def test_what_kubernetes_sets_for_a_service_is_not_a_misspelt_setting() -> None:
    environ = {
        "GROUNDSWELL_BOARD_SERVICE_HOST": "10.0.0.1",
        "GROUNDSWELL_BOARD_PORT_8350_TCP_ADDR": "10.0.0.1",
        "GROUNDSWELL_REQUIRE": "kafka",
    }
    assert load_settings(environ=environ) == Settings()


def test_a_missing_file_that_was_asked_for_is_an_error(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environ={"GROUNDSWELL_CONFIG": str(file)})


def test_every_secret_and_every_password_in_a_url_is_masked_when_shown() -> None:
    environ = {
        "GROUNDSWELL_STORE_URL": "postgresql://desk:hunter2@db/groundswell",
        "GROUNDSWELL_MAIL_USERNAME": "desk",
        "GROUNDSWELL_MAIL_PASSWORD": "hunter2",
        "GROUNDSWELL_MAIL_TLS": "tls",
        "GROUNDSWELL_SLACK_WEBHOOK_URL": "https://hooks.example/hunter2",
    }
    shown = {line.key: line for line in describe(*load_with_origins(environ=environ))}
    assert "hunter2" not in str(shown)
    assert shown["store.url"].value == "postgresql://desk:***@db/groundswell"
    assert shown["mail.password"] == ("mail.password", "***", "environment GROUNDSWELL_MAIL_PASSWORD")


def test_every_setting_is_documented_in_one_line_and_numbers_say_their_limits() -> None:
    for setting in settings_list():
        assert setting.doc, setting.key
        assert "\n" not in setting.doc
        if isinstance(setting.default, (int, float)):
            assert setting.allowed, setting.key
        if setting.key.endswith("_s"):
            assert setting.unit == "s"


def test_the_page_of_settings_names_every_setting_and_its_variable() -> None:
    page = settings_markdown()
    for setting in settings_list():
        assert f"| `{setting.key}` | `{setting.variable}` |" in page


def test_the_example_file_is_the_one_made_from_the_code() -> None:
    assert (REPOSITORY / "deploy" / "settings.example.toml").read_text(encoding="utf-8") == settings_example()


def test_the_example_with_every_line_switched_on_gives_the_defaults(file: Path) -> None:
    lines = [
        line.removeprefix("# ") if " = " in line and not line.startswith("# Each") else line for line in settings_example().splitlines()
    ]
    file.write_text("\n".join(lines))
    keys = [f"{section}.{key}" for section, table in tomllib.loads(file.read_text()).items() for key in table]
    assert keys == [setting.key for setting in settings_list()]
    assert load_settings(path=file, environ={}) == Settings()
