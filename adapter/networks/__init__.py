"""Implement networks behind the interface in `upstream`."""
