"""Import the packages of qqbus before others of their names: `consumers.py` is a usual name beside a bot."""

import importlib
import sys
from pathlib import Path

_root = str(Path(__file__).resolve().parent.parent)
sys.path.insert(0, _root)
try:
    for _name in ("adapter", "consumers"):
        importlib.import_module(_name)
finally:
    sys.path.remove(_root)
