"""Bots of other projects on the gateway: unchanged, and judged by what the network's server saw."""
