"""Clients of SmartQQ from the package index, run unchanged against the simulator."""
