"""The section [grafana] of the settings: a file of its own, since settings.py is long enough."""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

__all__ = ["Grafana", "grafana_rules"]

_SECRET: Final = {"secret": True, "from_file": True}


class Grafana(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where `groundswell dashboards publish` puts the dashboards; what Grafana itself reads is in docs/grafana.md."""

    url: Annotated[str, Meta(description="Address of Grafana, with the path that a proxy puts before it; empty: nothing is published.")] = (
        ""
    )
    token: Annotated[
        str, Meta(description="Token of a service account: Editor for dashboards, Admin for data sources too.", extra=_SECRET)
    ] = ""
    prometheus_url: Annotated[str, Meta(description="Prometheus as Grafana reaches it; empty: that data source is not published.")] = ""
    store_url: Annotated[
        str,
        Meta(
            description="postgresql:// URL of the store as Grafana reaches it, with a login that only reads; empty: as above.",
            extra=_SECRET,
        ),
    ] = ""


def grafana_rules(grafana: Grafana, is_web: Callable[[str], bool]) -> tuple[tuple[str, bool, str], ...]:
    """(key, whether it holds, what must be) of what has to fit together.

    Args:
        grafana: the section.
        is_web: whether a text is an address of the web.
    """
    return (
        ("grafana.url", not grafana.url or is_web(grafana.url), "must begin with http:// or https:// and name a host"),
        ("grafana.token", bool(grafana.url) == bool(grafana.token), "must be given together with grafana.url, or neither"),
        ("grafana.prometheus_url", not grafana.prometheus_url or is_web(grafana.prometheus_url), "must begin with http:// or https://"),
        ("grafana.store_url", not grafana.store_url or grafana.store_url.startswith("postgresql://"), "must begin with postgresql://"),
    )
