"""Run bots of OneBot 11 as workers: the gateway plays the part of the implementation."""
