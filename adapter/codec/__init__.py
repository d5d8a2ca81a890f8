"""Translate between stream fields and the vocabulary of events. Pure."""
