"""Tests of adapter/networks/smartqq/protocol/."""
