"""Tests of consumers/onebot/actions/."""
