"""What an operator or a test does to the server: faults of sockets, of QQ, of the port."""

import asyncio
from collections.abc import Iterable
from typing import Any

from .connection import Connection
from .errors import ControlError
from .faults import Faults, fault_from, rule_from
from .gateway import Gateway
from .hub import Hub
from .notices import Notices
from .reverse import ReverseClients
from .state import MUTE_STATES, State

# Bytes of a frame that a control request may ask for.
MAX_FRAME = 100 * 1024 * 1024
# Dialect and account shape the world and the ids; a running server keeps them.
_FIXED = frozenset({"dialect", "account"})


class Operations:
    """The operations of the control interface that are no events."""

    def __init__(
        self, state: State, hub: Hub, faults: Faults, gateway: Gateway, reverse: ReverseClients
    ) -> None:
        self._state = state
        self._hub = hub
        self._faults = faults
        self._gateway = gateway
        self._reverse = reverse
        self._restarts: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    # Sockets; `connection` is a number, absent for all

    def _chosen(self, connection: int | None) -> list[Connection]:
        if connection is None:
            return list(self._hub.connections.values())
        if connection not in self._hub.connections:
            raise ControlError(
                f"no connection {connection}; open: {', '.join(map(str, self._hub.connections))}"
            )
        return [self._hub.connections[connection]]

    def reset(self, connection: int | None = None) -> int:
        """Reset TCP connections; return how many."""
        return _each(self._chosen(connection), lambda one: one.reset())

    def freeze(self, connection: int | None = None) -> int:
        """Keep sockets open and neither read nor write: half-open."""
        return _each(self._chosen(connection), lambda one: one.freeze())

    def thaw(self, connection: int | None = None) -> int:
        """Read and write again."""
        return _each(self._chosen(connection), lambda one: one.thaw())

    async def close(self, connection: int | None = None, code: int = 1000, reason: str = "") -> int:
        """Close WebSockets in order; 1005 stands for a close frame without a code."""
        chosen = self._chosen(connection)
        await asyncio.gather(*(one.close(code, reason) for one in chosen))
        return len(chosen)

    async def cut(self, connection: int | None = None) -> int:
        """Send half of an event, then end the TCP connections."""
        chosen = self._chosen(connection)
        await asyncio.gather(*(one.cut('{"post_type":"notice","notice_type":"cut"}') for one in chosen))
        return len(chosen)

    def silence(self, connection: int | None = None, *, on: bool = True) -> int:
        """Withhold events from some connections while heartbeats go on."""

        def set_silent(one: Connection) -> None:
            one.is_silent = on

        return _each(self._chosen(connection), set_silent)

    def frame(self, text: str | None = None, size: int = 0, connection: int | None = None) -> int:
        """Send any text, or a meta event of `size` bytes, as one frame."""
        if not 0 <= size <= MAX_FRAME:
            raise ControlError(f"size is 0 to {MAX_FRAME}, not {size}")
        padding = '{"post_type":"meta_event","meta_event_type":"padding","padding":"' + "x" * size + '"}'
        sent = padding if text is None else text
        return _each(self._chosen(connection), lambda one: self._hub.send_text(one, sent))

    def heartbeat(self) -> None:
        """Send a heartbeat now."""
        self._hub.send_heartbeat()

    # QQ and the implementation

    def offline(self, *, kicked: bool = False, message: str = "您的账号已在另一台终端登录") -> None:
        """Take QQ offline behind a healthy socket; NapCat reports a kick."""
        self._state.switches.is_online = False
        if kicked and self._state.traits.has_bot_offline:
            self._hub.emit(Notices(self._state).bot_offline(message))

    def online(self) -> int:
        """Bring QQ back; LLBot with `report_offline` reports what came, with its old time."""
        switches = self._state.switches
        switches.is_online = True
        missed = [switches.lifted.popleft() for _ in range(len(switches.lifted))]
        is_reported = self._state.options.report_offline and self._state.traits.name == "llbot"
        reported = [event for event in missed if is_reported and event["post_type"] == "message"]
        for event in reported:
            self._hub.emit(event)
        return len(reported)

    def deaf(self, *, on: bool = True) -> None:
        """Stop all events; heartbeats and actions go on."""
        self._state.switches.is_deaf = on

    def mute(self, state: str = "lost") -> None:
        """Let every send time out, its message `lost` or `delivered`; "" ends that."""
        if state not in MUTE_STATES:
            raise ControlError(f'state is lost, delivered or "", not {state!r}')
        self._state.switches.mute = state

    # The port

    async def down(self) -> None:
        """Close the port and reset its connections: the implementation has ended."""
        self._state.switches.is_down = True
        await self._gateway.close()
        for connection in list(self._hub.connections.values()):
            connection.reset("down")

    async def up(self) -> None:
        """Open the same port again."""
        if not self._state.switches.is_down:
            raise ControlError("the port is open already")
        if self._state.traits.are_ids_forgotten_on_restart:
            self._state.messages.forget_ids()
        self._state.started = self._state.now()
        await self._gateway.open()
        self._state.switches.is_down = False
        self._state.record.changed()

    async def restart(self, seconds: float = 0.0) -> None:
        """Close the port now and open it after `seconds`, without waiting for that."""
        await self.down()
        if not seconds:
            await self.up()
            return
        task = asyncio.ensure_future(self._up_after(seconds))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _up_after(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            if self._state.switches.is_down:
                await self.up()

    async def stop(self) -> None:
        """End restarts that are under way."""
        self._stopping.set()
        if self._restarts:
            await asyncio.wait(list(self._restarts))

    def reverse(self, url: str, seconds: float | None = None) -> None:
        """Connect to a client's own WebSocket server, again and again."""
        self._reverse.add(url, seconds)

    # Answers, options, world

    def answer(self, action: str, faults: list[Any]) -> None:
        """Apply faults to the next actions of a name, `*` for any."""
        self._faults.plan(action, *[fault_from(one) for one in faults])

    def rule(self, **fields: Any) -> None:
        """Apply a fault again and again: action, every or chance, fault."""
        self._faults.add_rule(rule_from(fields))

    def clear(self) -> None:
        """Forget all faults of answers."""
        self._faults.clear()

    def options(self, **changes: Any) -> None:
        """Change options."""
        if fixed := _FIXED & changes.keys():
            raise ControlError(f"{', '.join(sorted(fixed))} can be set at the start alone")
        self._state.options = self._state.options.changed(changes)
        self._hub.change_interval()

    def ids(self, ids: list[int]) -> None:
        """Give the next messages these ids."""
        self._state.messages.plan_ids(ids)

    def group(self, number: int, name: str = "", members: int = 0, role: str = "member") -> int:
        """Add a group with invented members; `role` is that of the account."""
        group = self._state.world.add_group(number, name or f"群{number}", members)
        group.members[self._state.account].role = role
        return len(group.members)

    def role(self, group: int, user: int, role: str) -> None:
        """Change a member's role without a notice."""
        self._state.world.group(group).members[user].role = role

    def friend(self, user: int, remark: str = "") -> None:
        """Add a friend without a notice."""
        self._state.world.befriend(user, remark)

    def expire(self) -> None:
        """Let all addresses of pictures expire."""
        self._state.pictures.expire()


def _each(connections: Iterable[Connection], do: Any) -> int:
    chosen = list(connections)
    for one in chosen:
        do(one)
    return len(chosen)
