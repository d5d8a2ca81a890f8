"""Tests of consumers/runtime/."""
