"""Tests of adapter/networks/smartqq/client/."""
