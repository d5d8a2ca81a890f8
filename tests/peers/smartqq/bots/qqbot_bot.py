"""Run qqbot with the plugin beside this file, its files in the working directory.

qqbot is of 2018 and calls a method of the standard library that Python 3.9 removed: it is put back.
"""

import html
import html.parser
from pathlib import Path

html.parser.HTMLParser.unescape = staticmethod(html.unescape)

from qqbot import _bot as bot  # noqa: E402 – needs the method when it is imported

bot.Login(["-b", ".", "-p", "0", "-pp", str(Path(__file__).parent), "-pl", "qqbot_plugin"])
bot.Run()
