"""Connections to the official API: HTTP and the gateway."""
