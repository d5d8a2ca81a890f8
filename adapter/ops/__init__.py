"""Operation: metrics, status, logs, alerts and the status page."""
