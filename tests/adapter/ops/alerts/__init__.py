"""Tests of adapter/ops/alerts/."""
