"""Settings: one frozen tree from defaults, a TOML file and the environment, in that order; the last one wins.

A setting is `section.key`; its variable is GROUNDSWELL_<SECTION>_<KEY>. The file is the one that is named, else the one in
GROUNDSWELL_CONFIG, else `groundswell.toml` in the working folder if there is one. An empty variable counts as not set. What is
secret may also be read from a file of its own: `<key>_file` or GROUNDSWELL_<SECTION>_<KEY>_FILE names it. Each field below
carries what is said of it in docs/settings.md and in deploy/settings.example.toml (groundswell/settings_pages.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from groundswell.errors import reason_of
from groundswell.masking import MASK, mask_url, passwords_of_url
from groundswell.settings_grafana import Grafana
from groundswell.settings_rules import rules_of
from groundswell.settings_sources import PREFIX, fail, file_of, from_environment, from_file

__all__ = [
    "Board", "Canary", "Catalogue", "Companies", "Data", "Kafka", "Log", "Mail", "Metrics", "Models", "Routes", "Rules", "Setting",
    "Settings", "Shown", "Slack", "Store", "describe", "load_settings", "load_with_origins", "secrets_of", "settings_list",
]  # fmt: skip

DEFAULT_ORIGIN: Final = "default"
_SECRET: Final = {"secret": True, "from_file": True}

Port = Annotated[int, Meta(ge=1, le=65_535)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the tree."""


class Store(_Section, frozen=True):
    """Where facts, series and alerts are kept."""

    url: Annotated[
        str,
        Meta(
            description="Database: sqlite:///FILE for one machine, postgresql://USER:PASSWORD@HOST/DATABASE for several.",
            extra={"from_file": True},
        ),
    ] = "sqlite:///var/groundswell.db"


class Data(_Section, frozen=True):
    """What this machine keeps for itself."""

    dir: Annotated[
        str, Meta(description="Folder for the local log, the crawler's memory and its spool; made if missing.", min_length=1)
    ] = "var"
    text_retention_days: Annotated[
        int,
        Meta(
            description="Days that crawled texts are kept by `groundswell forget expired`; 0: for ever.",
            ge=0,
            le=36_500,
            extra={"unit": "days"},
        ),
    ] = 30
    spool_mb_max: Annotated[
        int,
        Meta(
            description="Disk that a crawler may fill while the broker is away; then it takes nothing more and asks its sources later.",
            ge=1,
            le=10_000_000,
            extra={"unit": "MB"},
        ),
    ] = 2_000


class Kafka(_Section, frozen=True):
    """The log between machines; without it everything runs in one process."""

    bootstrap: Annotated[str, Meta(description="Brokers as HOST:PORT, separated by commas; empty: one process, no Kafka.")] = ""
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="What the brokers speak there: SSL is encrypted, SASL asks for a login."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="How the login is proved; PLAIN shows the broker the password."),
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[str, Meta(description="Login at the brokers, where security_protocol begins with SASL.")] = ""
    sasl_password: Annotated[str, Meta(description="Its password; give it in the environment or in a file.", extra=_SECRET)] = ""
    tls_ca_file: Annotated[
        str, Meta(description="PEM file of the authorities that may vouch for the brokers; empty: those of this machine.")
    ] = ""
    tls_cert_file: Annotated[str, Meta(description="PEM file with this client's certificate, where the brokers ask for one.")] = ""
    tls_key_file: Annotated[str, Meta(description="PEM file with its key, without a passphrase; empty: in tls_cert_file.")] = ""
    tls_check_hostname: Annotated[bool, Meta(description="The broker's certificate must name the host that kafka.bootstrap names.")] = True
    held_records_max: Annotated[
        int,
        Meta(
            description="Contributions of a run that its fold workers may have to hold together; raw partitions that are ahead wait.",
            ge=1_600,
        ),
    ] = 800_000
    held_bytes_max: Annotated[
        int, Meta(description="The same in bytes; give all score workers of a run the same.", ge=1_048_576, extra={"unit": "bytes"})
    ] = 536_870_912


class Board(_Section, frozen=True):
    """The web page."""

    host: Annotated[str, Meta(description="Address that the board listens on; 127.0.0.1 keeps it on this machine.", min_length=1)] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="Port that the board listens on.")] = 8350
    base_url: Annotated[str, Meta(description="How readers reach the board; links in mail and Slack begin with it.")] = (
        "http://127.0.0.1:8350"
    )
    timezone: Annotated[str, Meta(description="Zone of the times that readers see until they choose another one.", min_length=1)] = "UTC"
    language: Annotated[Literal["en", "zh"], Meta(description="Language of the pages until a reader chooses the other one.")] = "en"
    secret: Annotated[
        str,
        Meta(
            description="Signs sessions, forms and links, 32 characters or more; the same for desk and board; empty: a file in data.dir.",
            extra=_SECRET,
        ),
    ] = ""
    session_hours: Annotated[int, Meta(description="How long a reader stays signed in.", ge=1, le=24 * 30, extra={"unit": "hours"})] = 12
    link_hours: Annotated[
        int, Meta(description="How long a link in a mail or in Slack can record something.", ge=1, le=24 * 90, extra={"unit": "hours"})
    ] = 168
    proxy_header: Annotated[
        str, Meta(description="Header in which a reverse proxy says who somebody is; empty: people sign in on the board itself.")
    ] = ""
    proxy_addresses: Annotated[
        tuple[str, ...], Meta(description="Addresses or networks of the proxies that are believed, such as 127.0.0.1 or 10.0.3.0/24.")
    ] = ()
    proxy_role: Annotated[
        Literal["none", "reader", "analyst"],
        Meta(description="Role of somebody whom the proxy names and who has no account here; none: is refused."),
    ] = "none"


class Mail(_Section, frozen=True):
    """Alerts by mail; off while host is empty."""

    host: Annotated[str, Meta(description="Mail relay; empty: no mail is sent.")] = ""
    port: Annotated[Port, Meta(description="Port of the relay: 587 for starttls, 465 for tls, 25 inside a company.")] = 25
    tls: Annotated[Literal["none", "starttls", "tls"], Meta(description="Encryption; a certificate is always checked.")] = "none"
    username: Annotated[str, Meta(description="Login at the relay; empty: none.")] = ""
    password: Annotated[str, Meta(description="Password at the relay; give it in the environment.", extra=_SECRET)] = ""
    sender: Annotated[str, Meta(description="From address, for example Groundswell <groundswell@bank.example>.")] = ""
    recipients: Annotated[tuple[str, ...], Meta(description="Who gets the alerts; in the environment separated by commas.")] = ()
    timeout_s: Annotated[
        float, Meta(description="Longest time for one mail, from connecting to the last answer.", gt=0, le=600, extra={"unit": "s"})
    ] = 30.0


class Slack(_Section, frozen=True):
    """Slack: alerts in one channel by its webhook, or in the channels of the routes file by a bot."""

    webhook_url: Annotated[str, Meta(description="Incoming webhook of the channel; give it in the environment.", extra=_SECRET)] = ""
    bot_token: Annotated[
        str, Meta(description="Bot token (xoxb-) for the channels of the routes file; give it in the environment.", extra=_SECRET)
    ] = ""
    app_token: Annotated[
        str, Meta(description="App-level token (xapp-): messages get buttons, heard by Socket Mode; empty: links.", extra=_SECRET)
    ] = ""


class Routes(_Section, frozen=True):
    """Who is told of what."""

    path: Annotated[
        str, Meta(description="TOML file of readers (alerts/routes.toml is an example); empty: all alerts to the targets of the settings.")
    ] = ""


class Canary(_Section, frozen=True):
    """A document of the crawler's own that proves the whole way; it counts in no window."""

    every_s: Annotated[
        int,
        Meta(
            description="How often one is sent, at round times; one that is 5 minutes late is reported; 0: none.",
            ge=0,
            le=86_400,
            multiple_of=300,
            extra={"unit": "s"},
        ),
    ] = 3_600
    mail_to: Annotated[
        tuple[str, ...], Meta(description="Test addresses that get a mail of each, by the relay of [mail]; empty: none is mailed.")
    ] = ()
    slack_webhook_url: Annotated[
        str, Meta(description="Incoming webhook of a test channel that is told of each; empty: none.", extra=_SECRET)
    ] = ""


class Metrics(_Section, frozen=True):
    """What Prometheus reads."""

    host: Annotated[str, Meta(description="Address that each process shows its metrics on.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port of the metrics; a second worker needs another one; 0: off.", ge=0, le=65_535)] = 9464
    watch: Annotated[
        tuple[str, ...],
        Meta(description="Ids of companies that are counted by name in the metrics (`groundswell entities list`).", max_length=50),
    ] = ()


class Rules(_Section, frozen=True):
    """What makes an alert."""

    path: Annotated[str, Meta(description="TOML file of rules; empty: the rules that come with the package.")] = ""


class Catalogue(_Section, frozen=True):
    """What is read."""

    extra: Annotated[tuple[str, ...], Meta(description="More source catalogues (TOML); an entry replaces one of the same name.")] = ()
    contact: Annotated[
        str, Meta(description="Page or mailto: that publishers see in the crawler's User-Agent; polite, and often asked for.")
    ] = ""
    parsers: Annotated[
        int,
        Meta(description="Processes that read answers, each one at a time; a core each is enough.", ge=1, le=64),
    ] = 1


class Push(_Section, frozen=True):
    """Where sources of type webhook are posted to; it listens only if the catalogue has one."""

    host: Annotated[
        str, Meta(description="Address that push feeds are taken on; 127.0.0.1 leaves TLS to a proxy on this machine.", min_length=1)
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port that push feeds are taken on.")] = 8360


class Companies(_Section, frozen=True):
    """Whom documents speak of."""

    extra: Annotated[
        tuple[str, ...], Meta(description="More company catalogues (CSV); an entry with a known id extends that company.")
    ] = ()


class Models(_Section, frozen=True):
    """What scores documents."""

    registry: Annotated[
        str, Meta(description="Folder of bundles and of what was promoted among them; empty: the models that come with the package.")
    ] = ""
    use: Annotated[
        Literal["auto", "linear"],
        Meta(description="auto: the models in force (`groundswell models list`); linear: the linear models alone, for a fast backfill."),
    ] = "auto"
    errors: Annotated[
        tuple[str, ...],
        Meta(description="Files of `groundswell models errors`: what models of your own get wrong, for corrected shares."),
    ] = ()
    device: Annotated[
        Literal["cpu", "cuda"],
        Meta(description="What encoders run on: cpu (ONNX Runtime, int8), or cuda (a GPU, by torch, bf16; needs the extra torch)."),
    ] = "cpu"


class Log(_Section, frozen=True):
    """What the processes say."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The least important line that is shown.")] = "info"
    format: Annotated[Literal["auto", "json", "console"], Meta(description="auto: console in a terminal, else json.")] = "auto"


class Settings(_Section, frozen=True):
    """Every setting of every command."""

    store: Store = Store()
    data: Data = Data()
    kafka: Kafka = Kafka()
    board: Board = Board()
    mail: Mail = Mail()
    slack: Slack = Slack()
    routes: Routes = Routes()
    canary: Canary = Canary()
    metrics: Metrics = Metrics()
    grafana: Grafana = Grafana()
    rules: Rules = Rules()
    catalogue: Catalogue = Catalogue()
    push: Push = Push()
    companies: Companies = Companies()
    models: Models = Models()
    log: Log = Log()


class Setting(NamedTuple):
    """What is known of one setting, from its declaration alone."""

    key: str  # "board.port"
    variable: str  # "GROUNDSWELL_BOARD_PORT"
    type: Any  # with its limits
    default: Any
    doc: str  # one line
    unit: str  # "s", or "" for what has none
    allowed: str  # values or limits in words, "" where anything goes
    secret: bool
    from_file: bool  # `<key>_file` names a file that holds it


class Shown(NamedTuple):
    """One line of `groundswell config`."""

    key: str
    value: str  # secrets masked
    source: str  # "default", a file's path, or "environment VARIABLE"


# --- what settings there are ----------------------------------------------------------------------------------------------
def settings_list() -> list[Setting]:
    """Every setting in the order of the tree.

    >>> [setting.variable for setting in settings_list()][:2]
    ['GROUNDSWELL_STORE_URL', 'GROUNDSWELL_DATA_DIR']
    """
    return [setting for name, section in get_type_hints(Settings).items() for setting in settings_of(name, section)]


def settings_of(section: str, kind: type[_Section]) -> list[Setting]:
    """The settings of one section."""
    found = []
    for key, hint in get_type_hints(kind, include_extras=True).items():
        metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]
        extra: dict[str, Any] = {name: value for meta in metas for name, value in (meta.extra or {}).items()}
        found.append(
            Setting(
                key=f"{section}.{key}",
                variable=f"{PREFIX}{section}_{key}".upper(),
                type=hint,
                default=getattr(kind(), key),
                doc=next((meta.description for meta in metas if meta.description), ""),
                unit=extra.get("unit", ""),
                allowed=_allowed(get_args(hint)[0], metas),
                secret=bool(extra.get("secret")),
                from_file=bool(extra.get("from_file")),
            )
        )
    return found


def _allowed(kind: Any, metas: Sequence[Meta]) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if kind is bool:
        return "true, false"
    entries = [f"at most {meta.max_length} entries" for meta in metas if meta.max_length is not None]
    limits = entries + [
        f"{word} {bound:g}"
        for name, word in (("ge", "at least"), ("gt", "above"), ("le", "at most"))
        for meta in metas
        if (bound := getattr(meta, name)) is not None
    ]
    return ", ".join(limits) or ("not empty" if any(meta.min_length for meta in metas) else "")


# --- loading -------------------------------------------------------------------------------------------------------------
def load_settings(*, path: Path | None = None, environ: Mapping[str, str]) -> Settings:
    """The settings in force.

    Args:
        path: the file; None looks in GROUNDSWELL_CONFIG and then for `groundswell.toml`.
        environ: the environment, usually `os.environ`.

    Raises:
        SettingsError: a file that cannot be read, an unknown key, a value of the wrong type or range, or values that do not
            fit together; the text names the place, the key, the rule, the value and the nearest valid key.
    """
    return load_with_origins(path=path, environ=environ)[0]


def load_with_origins(*, path: Path | None = None, environ: Mapping[str, str], folder: Path = Path()) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and where each one that is not a default comes from ({key: file or variable}), for `describe`.

    Args:
        path: as in `load_settings`.
        environ: as in `load_settings`.
        folder: where the default file is looked for.

    Raises:
        SettingsError: as in `load_settings`.
    """
    known = {setting.key: setting for setting in settings_list()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    file = file_of(path, environ, folder)
    if file is not None:
        for key, value in from_file(file, known, list(get_type_hints(Settings))).items():
            values[key], origins[key] = _checked(known[key], value, place=str(file), strict=True), str(file)
    for setting, text, variable in from_environment(environ, known):
        values[setting.key] = _checked(setting, _parsed(setting, text), place=variable, strict=False)
        origins[setting.key] = f"environment {variable}"
    tree: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        tree.setdefault(section, {})[name] = value
    settings = msgspec.convert(tree, Settings)
    _check_together(settings, known, origins)
    return settings, origins


def _parsed(setting: Setting, text: str) -> Any:
    if get_origin(get_args(setting.type)[0]) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(setting: Setting, value: Any, *, place: str, strict: bool) -> Any:
    try:
        return msgspec.convert(value, setting.type, strict=strict)
    except msgspec.ValidationError as error:
        shown = MASK if setting.secret else mask_url(repr(value))
        step = f"write one of {setting.allowed}" if get_origin(get_args(setting.type)[0]) is Literal else "correct the value"
        if setting.allowed and "write" not in step:
            step += f" ({setting.allowed})"
        if isinstance(value, str) and value.startswith(("tcp://", "udp://")):
            step = "Kubernetes has set this variable for a service of that name: set enableServiceLinks: false in the pod"
        fail(f"{place}: {setting.key}: {reason_of(error)}, got {shown}; {step}", error)


def _check_together(settings: Settings, known: Mapping[str, Setting], origins: Mapping[str, str]) -> None:
    for key, holds, rule in rules_of(settings):
        if not holds:
            place = origins[key].removeprefix("environment ") + ": " if key in origins else ""
            fail(f"{place}{key}: {rule}, got {_value(settings, known[key])!r}; {known[key].variable} or the file sets it")


# --- showing -------------------------------------------------------------------------------------------------------------
def describe(settings: Settings, origins: Mapping[str, str]) -> list[Shown]:
    """Each setting as (key, shown value, source): what `groundswell config` prints; secrets and URL passwords are masked."""
    return [Shown(setting.key, _value(settings, setting), origins.get(setting.key, DEFAULT_ORIGIN)) for setting in settings_list()]


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Every secret that is set, for the guard of the logs; the passwords in URLs of the store too."""
    shown = [setting.key.split(".") for setting in settings_list() if setting.secret]
    found = [getattr(getattr(settings, section), name) for section, name in shown]
    return tuple(filter(None, [*found, *passwords_of_url(settings.store.url), *passwords_of_url(settings.grafana.store_url)]))


def _value(settings: Settings, setting: Setting) -> str:
    section, name = setting.key.split(".")
    value = getattr(getattr(settings, section), name)
    if setting.secret:
        return MASK if value else ""
    if isinstance(value, tuple):
        return ", ".join(value)
    return mask_url(value) if isinstance(value, str) else str(value)
