"""Tests of adapter/bus/."""
