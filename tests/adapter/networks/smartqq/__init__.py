"""Tests of adapter/networks/smartqq/."""
