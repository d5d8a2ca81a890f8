"""Tests of adapter/networks/."""
