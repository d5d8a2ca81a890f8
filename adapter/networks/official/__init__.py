"""Tencent's official bot API: a bot account that answers through Tencent's gateway and REST API."""
