"""Tests of adapter/networks/smartqq/session/."""
