"""Tests of consumers/onebot/."""
