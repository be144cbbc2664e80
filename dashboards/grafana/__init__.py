"""Grafana's dashboards as code: what each shows, the files that Grafana reads, and how they are published."""
