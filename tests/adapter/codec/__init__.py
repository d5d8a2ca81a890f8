"""Tests of adapter/codec/."""
