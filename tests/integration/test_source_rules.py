"""Rules that hold for the whole source: the mirror of tests, plain words, sizes of files and functions."""

import ast
import re
from pathlib import Path

import pytest

from tests.support import ROOT

# Words that hide who acts, whole and in any case.
VAGUE = re.compile(r"\b(?:somebody|nobody|whoever|told|owes|meanwhile|so many|so long)\b", re.IGNORECASE)
TEXTS = (".py", ".lua", ".js", ".go", ".sh", ".html", ".css", ".md", ".mod")
MAX_FILE, MAX_FUNCTION = 400, 50

# Where a module has no test file of its own name: the test that proves it, or all others of its folder.
PROVED_BY = {
    "adapter/app.py": "tests/integration/test_end_to_end.py",
    "adapter/bus/clipped_reader.py": "tests/adapter/bus/test_admin.py",
    "adapter/bus/faults.py": "tests/adapter/bus/test_retention.py",
    "adapter/bus/entries.py": "tests/adapter/bus/test_bus.py",
    "adapter/bus/retry.py": "tests/adapter/bus/spool/test_publisher.py",
    "adapter/bus/local_connection.py": "tests/adapter/bus/test_embedded_access.py",
    "adapter/bus/keys.py": "tests/adapter/bus/test_bus.py",
    "adapter/bus/session_position.py": "tests/integration/test_official.py",
    "adapter/bus/spool/checkpoint.py": "tests/adapter/bus/spool/test_log.py",
    "adapter/cli/": "tests/adapter/cli/test_main.py",
    "adapter/cli/commands/": "tests/adapter/cli/commands/test_streams.py",
    "adapter/contact_store.py": "tests/adapter/test_directory.py",
    "adapter/contract/": "tests/contract/test_contract.py",
    "adapter/networks/onebot/client/errors.py": "tests/adapter/networks/onebot/client/test_socket.py",
    "adapter/networks/onebot/limits.py": "tests/adapter/networks/onebot/test_session_manager.py",
    "adapter/control.py": "tests/adapter/cli/commands/test_streams.py",
    "adapter/content.py": "tests/adapter/codec/test_segments.py",
    "adapter/events.py": "tests/adapter/codec/test_inbound.py",
    "adapter/failpoints.py": "tests/integration/test_crash.py",
    "adapter/networks/smartqq/client/": "tests/adapter/networks/smartqq/client/test_transport.py",
    "adapter/networks/smartqq/contacts/": "tests/adapter/networks/smartqq/contacts/test_loader.py",
    "adapter/networks/smartqq/login/": "tests/adapter/networks/smartqq/login/test_stages.py",
    "adapter/networks/smartqq/messages/": "tests/adapter/networks/smartqq/test_upstream.py",
    "adapter/networks/smartqq/protocol/": "tests/adapter/networks/smartqq/protocol/test_poll_items.py",
    "adapter/networks/smartqq/session/": "tests/adapter/networks/smartqq/session/test_store.py",
    "adapter/networks/smartqq/": "tests/adapter/networks/smartqq/test_session_manager.py",
    "adapter/networks/official/": "tests/adapter/networks/official/test_upstream.py",
    "adapter/networks/official/client/": "tests/adapter/networks/official/test_session_manager.py",
    "adapter/networks/official/protocol/": "tests/adapter/networks/official/protocol/test_events.py",
    "adapter/networks/websocket.py": "tests/adapter/networks/onebot/client/test_socket.py",
    "adapter/networks/upstream.py": "tests/adapter/networks/smartqq/test_upstream.py",
    "adapter/ops/alerts/": "tests/adapter/ops/alerts/test_notifier.py",
    "adapter/ops/contact_search.py": "tests/adapter/ops/page/test_views.py",
    "adapter/ops/history.py": "tests/adapter/ops/test_metrics.py",
    "adapter/ops/state_text.py": "tests/adapter/ops/test_wording.py",
    "adapter/ops/page/": "tests/adapter/ops/page/test_server.py",
    "adapter/codec/sent_message.py": "tests/integration/test_publish_sent.py",
    "consumers/mcp/": "tests/consumers/mcp/test_server.py",
    "consumers/onebot/": "tests/consumers/onebot/test_hub.py",
    "consumers/onebot/actions/": "tests/consumers/onebot/actions/test_registry.py",
    "consumers/runtime/holding.py": "tests/consumers/onebot/test_hub.py",
    "consumers/runtime/holding_worker.py": "tests/consumers/onebot/test_hub.py",
    "consumers/runtime/": "tests/consumers/runtime/test_worker.py",
}


def sources(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the files of these folders, without what npm has installed."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in endings and "node_modules" not in path.parts and "__pycache__" not in path.parts
    ]


def test_each_sentence_has_a_named_subject() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [ROOT / "README.md", *sources("adapter", "consumers", endings=TEXTS)]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if VAGUE.search(line)
    ]
    assert found == []


def test_no_file_and_no_function_is_too_long() -> None:
    long = []
    for path in sources("adapter", "consumers", "tests"):
        source = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        if len(source.splitlines()) > MAX_FILE:
            long.append(f"{name}: {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION and name.parts[0] != "tests":
                    long.append(f"{name}: {node.name}: {lines} lines")
    assert not long, long


def modules() -> list[str]:
    """Return the modules that hold code: packages whose __init__ only names things do not."""
    return [
        str(path.relative_to(ROOT))
        for path in sources("adapter", "consumers")
        if path.name not in {"__init__.py", "__main__.py"}
    ]


@pytest.mark.parametrize("module", modules())
def test_each_module_has_its_test(module: str) -> None:
    path = Path(module)
    own = Path("tests") / path.parent / f"test_{path.name}"
    if path.parts[:2] == ("adapter", "contract"):
        own = Path("tests") / "contract" / f"test_{path.name}"
    if not (ROOT / own).exists():
        proof = PROVED_BY.get(module) or PROVED_BY.get(f"{path.parent}/")
        assert proof, f"{module}: no {own}, and no line in PROVED_BY"
        assert (ROOT / proof).exists(), proof


def test_the_table_names_what_exists_and_has_no_test_of_its_own() -> None:
    for name in PROVED_BY:
        path = Path(name)
        assert (ROOT / path).exists(), name
        assert name.endswith("/") or not (ROOT / "tests" / path.parent / f"test_{path.name}").exists(), name
