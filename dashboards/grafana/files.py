"""The files that Grafana reads at its start: data sources, folder, dashboards. Grafana puts its own environment into ${...} of the first.

provisioning/datasources/groundswell.yaml   both data sources, with fixed uids; addresses and password from Grafana's environment
provisioning/dashboards/groundswell.yaml    one provider: a folder of Grafana, and where the next files are
dashboards/UID.json                         a dashboard each
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from dashboards.grafana.model import FOLDER_TITLE, FOLDER_UID, POSTGRES, POSTGRES_UID, PROMETHEUS, PROMETHEUS_UID, Dashboard, Json

SCRAPE_INTERVAL: Final = "15s"
"""How often Prometheus reads the processes (deploy/prometheus/prometheus.yml): Grafana makes $__rate_interval of it."""

POSTGRES_VERSION: Final = 1500
POSTGRES_PORT: Final = 5432
CONNECTIONS_MAX: Final = 10
PATH: Final = "/var/lib/grafana/dashboards/groundswell"
"""Where Grafana finds the dashboards; deploy/compose.yaml mounts them there."""

HEAD: Final = "# Made by `groundswell dashboards build`; a test compares the two. ${...} are variables of Grafana's own environment.\n"


@dataclass(frozen=True)
class StoreAccess:
    """The database as Grafana reaches it, with an account that only reads.

    Args:
        address: HOST:PORT.
        database: its name.
        user: a login in the role groundswell_board.
        password: its password; "" where the server asks for none.
        sslmode: as in a connection string.
    """

    address: str
    database: str
    user: str
    password: str
    sslmode: str

    @classmethod
    def of_url(cls, url: str) -> "StoreAccess":
        """The same from a URL; a server without sslmode in it is asked for TLS.

        >>> StoreAccess.of_url("postgresql://reader:p%40ss@db/groundswell?sslmode=disable")
        StoreAccess(address='db:5432', database='groundswell', user='reader', password='p@ss', sslmode='disable')
        """
        parts = urlsplit(url)
        return cls(
            address=f"{parts.hostname}:{parts.port or POSTGRES_PORT}",
            database=unquote(parts.path.removeprefix("/")),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            sslmode=dict(parse_qsl(parts.query)).get("sslmode", "require"),
        )


FROM_ENVIRONMENT: Final = StoreAccess("${STORE_ADDRESS}", "${STORE_DATABASE}", "${STORE_USER}", "${STORE_PASSWORD}", "${STORE_SSLMODE}")
"""What deploy/compose.yaml sets for Grafana."""

PROMETHEUS_URL: Final = "${PROMETHEUS_URL}"


def prometheus_source(url: str) -> Json:
    """The data source of the processes' metrics.

    Args:
        url: Prometheus as Grafana reaches it.
    """
    return {
        "name": "Groundswell Prometheus",
        "type": PROMETHEUS,
        "uid": PROMETHEUS_UID,
        "access": "proxy",
        "url": url,
        "jsonData": {"httpMethod": "POST", "timeInterval": SCRAPE_INTERVAL, "prometheusType": "Prometheus"},
    }


def postgres_source(store: StoreAccess) -> Json:
    """The data source of the store."""
    options = {
        "database": store.database,
        "sslmode": store.sslmode,
        "postgresVersion": POSTGRES_VERSION,
        "maxOpenConns": CONNECTIONS_MAX,
        "timescaledb": False,
    }
    made = {
        "name": "Groundswell PostgreSQL",
        "type": POSTGRES,
        "uid": POSTGRES_UID,
        "access": "proxy",
        "url": store.address,
        "user": store.user,
        "jsonData": options,
    }
    return made | ({"secureJsonData": {"password": store.password}} if store.password else {})


def files(dashboards: Sequence[Dashboard]) -> dict[str, str]:
    """Every file by its path below the folder that is mounted.

    Args:
        dashboards: what to provision.
    """
    provider = {
        "name": FOLDER_UID,
        "orgId": 1,
        "folder": FOLDER_TITLE,
        "folderUid": FOLDER_UID,
        "type": "file",
        "disableDeletion": False,
        "updateIntervalSeconds": 30,
        "allowUiUpdates": False,
        "options": {"path": PATH},
    }
    sources = [prometheus_source(PROMETHEUS_URL), postgres_source(FROM_ENVIRONMENT)]
    found = {
        "provisioning/datasources/groundswell.yaml": HEAD + yaml({"apiVersion": 1, "datasources": sources}),
        "provisioning/dashboards/groundswell.yaml": HEAD + yaml({"apiVersion": 1, "providers": [provider]}),
    }
    return found | {f"dashboards/{dashboard.uid}.json": text_of(dashboard.as_json()) for dashboard in dashboards}


def text_of(dashboard: Json) -> str:
    """A dashboard as a file that can be compared line by line."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def yaml(value: Mapping[str, Any]) -> str:
    """YAML of mappings, lists and plain values, as people would write it.

    >>> print(yaml({"a": 1, "b": [{"c": True, "d": "x y"}]}), end="")
    a: 1
    b:
      - c: true
        d: "x y"
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(one))
        elif isinstance(one, list):
            yield f"{key}:"
            for item in one:
                first, *rest = _lines(item)
                yield f"  - {first}"
                yield from (f"    {line}" for line in rest)
        else:
            yield f"{key}: {json.dumps(one)}"
