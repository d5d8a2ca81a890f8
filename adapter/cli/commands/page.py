"""`qqbus page`: print a link that opens the status page once, or revoke all access to it."""

import argparse

from adapter.cli.terminal import say
from adapter.config import Config
from adapter.errors import ConfigError
from adapter.ops.page.tokens import PageToken, SignInLinks, page_address, sign_in_link


async def page(config: Config, arguments: argparse.Namespace) -> int:
    """Print a link; with `--revoke` make a new token first."""
    if config.http_bind is None:
        raise ConfigError("QQBUS_HTTP=off: this adapter has no page")
    if not config.http_token and not config.state_dir.is_dir():
        raise ConfigError(
            "QQBUS_STATE_DIR: {state_dir} does not exist: give the one that the adapter runs with",
            state_dir=config.state_dir,
        )
    token = PageToken.load(config)
    if arguments.revoke:
        token.revoke()
    say(sign_in_link(page_address(*config.http_bind), SignInLinks(token)))
    return 0
