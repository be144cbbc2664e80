"""The four dashboards, in the order in which they are listed."""

from dashboards.grafana import incident, opinion, pipeline, sources_model
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import Dashboard


def dashboards(limits: Limits) -> tuple[Dashboard, ...]:
    """Every dashboard.

    Args:
        limits: numbers of the rules and the settings.

    Returns:
        Opinion, Incident, Pipeline, Sources and model.
    """
    return tuple(part.dashboard(limits) for part in (opinion, incident, pipeline, sources_model))
