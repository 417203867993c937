"""Grafana dashboards as code, recording and alerting rules for Prometheus. Empty until the detector streams."""
