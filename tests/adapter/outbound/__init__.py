"""Tests of adapter/outbound/."""
