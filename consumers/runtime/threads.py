"""Handlers that are plain functions: each call runs in a thread, beside the event loop.

Inside such a thread the async methods of Event and Worker are plain ones: they run in the loop of the
worker, and the thread waits for them. Everywhere else they return their coroutine, to be awaited.
"""

import asyncio
import contextvars
import functools
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

_thread = threading.local()
_Method = TypeVar("_Method", bound=Callable[..., Any])


def from_any_thread(method: _Method) -> _Method:
    """Let a handler in a thread call this async method as a plain one."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        coroutine = method(*args, **kwargs)
        loop = getattr(_thread, "loop", None)
        if loop is None:
            return coroutine
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    if sys.version_info >= (3, 12):
        # So that help() shows that the method is to be awaited.
        inspect.markcoroutinefunction(call)
    return cast("_Method", call)


def as_async(handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return the handler as an async function: itself, or one that runs it in a thread."""
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 – an object whose call is async
    ):
        return handler

    @functools.wraps(handler, updated=())
    async def run(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()

        def call() -> Any:
            _thread.loop = loop
            try:
                return handler(*args, **kwargs)
            finally:
                _thread.loop = None

        context = contextvars.copy_context()
        result = await loop.run_in_executor(None, functools.partial(context.run, call))
        return await result if inspect.isawaitable(result) else result

    return run
