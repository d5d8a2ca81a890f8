"""Tests of adapter/networks/smartqq/login/."""
