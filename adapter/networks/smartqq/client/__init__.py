"""Speak HTTP to SmartQQ: transport, request builders, calls about the session."""
