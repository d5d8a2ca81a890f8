"""Clients that are not of this project, run unchanged against the servers of tests."""
