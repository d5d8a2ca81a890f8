"""Receive and send messages: poll, classify, send, fetch pictures."""
