"""Tests of consumers/mcp/."""
