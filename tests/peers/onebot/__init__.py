"""Clients of OneBot 11: nonebot2 with its OneBot adapter, and aiocqhttp."""
