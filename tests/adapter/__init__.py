"""Tests of adapter/."""
