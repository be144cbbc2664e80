"""What Prometheus computes of the metrics: recording and alerting rules as code."""
