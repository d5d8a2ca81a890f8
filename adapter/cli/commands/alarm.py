"""`qqbus alarm --test`: deliver a test alarm as the adapter would, by the settings of this environment."""

import argparse
import time

from adapter.cli.terminal import complain, say, show_progress
from adapter.config import Config
from adapter.errors import ConfigError
from adapter.i18n import _
from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.channels import configured_channels
from adapter.ops.alerts.notifier import deliver_once
from adapter.plain_text import harmless


async def alarm(config: Config, _arguments: argparse.Namespace) -> int:
    """Deliver over each channel. Exit code 1 if one fails."""
    channels = configured_channels(config.alarm_command, config.alarm_url)
    if not channels:
        raise ConfigError("no alarm is configured: set QQBUS_ALARM_COMMAND or QQBUS_ALARM_URL")
    alert = Alert(active=True, reason="test", text="this is a test", account=config.account, time=time.time())
    failed = 0
    for channel in channels:
        with show_progress(channel.setting):
            failure = await deliver_once(channel, alert)
        if failure:
            failed += 1
            complain("{setting} failed: {failure}", setting=channel.setting, failure=harmless(failure))
        else:
            say(_("{setting}: delivered").format(setting=channel.setting))
    return 1 if failed else 0
