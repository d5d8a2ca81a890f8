"""Credentials of a SmartQQ session: cookies, tokens and their file."""
