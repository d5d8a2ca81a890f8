"""Tests of adapter/ops/page/."""
