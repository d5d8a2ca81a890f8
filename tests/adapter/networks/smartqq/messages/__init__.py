"""Tests of adapter/networks/smartqq/messages/."""
