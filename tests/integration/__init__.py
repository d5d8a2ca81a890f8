"""Tests that span processes."""
