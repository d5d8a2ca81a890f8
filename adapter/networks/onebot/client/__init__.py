"""The connection to an implementation."""
