"""Tests of adapter/networks/smartqq/contacts/."""
