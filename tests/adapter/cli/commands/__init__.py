"""Tests of adapter/cli/commands/."""
