"""Print what nonebot's adapter makes of events and of answers to get_msg: `nonebot_parse.py FILE`.

FILE holds a JSON list of [kind, value]; a line for each: the name of the class, or null.
"""

import json
import sys
from pathlib import Path

from nonebot.adapters.onebot.v11 import Adapter
from nonebot.adapters.onebot.v11.event import Reply
from nonebot.compat import type_validate_python
from nonebot.log import logger
from pydantic import ValidationError

logger.remove()
for kind, value in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
    if kind == "event":
        found = Adapter.json_to_event(value)
    else:
        try:
            found = type_validate_python(Reply, value)
        except ValidationError:
            found = None
    print(json.dumps(None if found is None else type(found).__name__), flush=True)
