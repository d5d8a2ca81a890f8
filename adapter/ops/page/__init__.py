"""The status page: what is going on, what to do about it, health and metrics, over HTTP.

Everything it shows comes from Redis over connections of its own, and from `Metrics`; it never waits for
the corridors nor they for it.
"""

from adapter.ops.page.server import run_page

__all__ = ["run_page"]
