"""Tests of the official API as a network."""
