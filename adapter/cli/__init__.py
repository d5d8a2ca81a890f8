"""Command line of the adapter."""
