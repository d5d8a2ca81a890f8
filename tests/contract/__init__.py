"""Tests of contract/."""
