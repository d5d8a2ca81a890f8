"""Alerts: monitors that raise them and the notifier that delivers them."""
