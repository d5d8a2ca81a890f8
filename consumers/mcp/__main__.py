"""Run the MCP server: `python -m consumers.mcp --chats friend:123`."""

import sys

from adapter import ConfigError
from adapter.i18n import _, terminal_texts, translate_error
from consumers.mcp.options import parse_options
from consumers.runtime.holding_worker import HoldingWorker
from consumers.runtime.runtime import WorkerOptions


def main() -> None:
    """Run until the agent leaves, SIGTERM or SIGINT; exits with 2 for bad use."""
    try:
        with terminal_texts():
            options = parse_options()
    except ConfigError as exc:
        print(f"python -m consumers.mcp: {translate_error(exc)}", file=sys.stderr)
        sys.exit(2)
    try:
        from consumers.mcp.agent_server import SHUTDOWN_SECONDS, AgentServer  # noqa: PLC0415 – an extra
    except ModuleNotFoundError as exc:
        print(_("{name} is missing: install qqbus[mcp]").format(name=exc.name), file=sys.stderr)
        sys.exit(2)
    runtime_options = WorkerOptions(shutdown_timeout=SHUTDOWN_SECONDS)
    HoldingWorker(options.app, AgentServer(options), options=runtime_options).main()


if __name__ == "__main__":
    main()
