"""Commands of `qqbus`: coroutine functions of config and arguments that return the exit code."""
