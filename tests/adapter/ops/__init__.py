"""Tests of adapter/ops/."""
