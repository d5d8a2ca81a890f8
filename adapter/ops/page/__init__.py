"""The status page over HTTP, with commands, health checks and metrics.

It reads Redis over connections of its own, and `Metrics`: page and adapter never wait for each other.
"""

from adapter.ops.page.server import run_page

__all__ = ["run_page"]
