"""Faults at random, and what must hold all the same."""
