"""Outbound pipeline: from `qq:outbound` to the network and the result."""
