"""Clients of the official API: nonebot-adapter-qq, qqbot-agent-sdk and qq-botpy."""
