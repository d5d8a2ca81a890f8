"""Tests of adapter/cli/."""
