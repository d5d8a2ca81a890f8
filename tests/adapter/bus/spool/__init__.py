"""Tests of adapter/bus/spool/."""
