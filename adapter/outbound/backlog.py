"""Who speaks next: in order within a chat, by class across chats, in turns between producers. Pure."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from adapter.events import Priority, SendRequest

PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


def producer(request: SendRequest) -> str:
    """Who asked: the advised form of an id is `<application>/<event id>`."""
    name, slash, _ = request.id.partition("/")
    return name if slash else ""


class Backlog:
    """Requests that were read and have more to say. A chat that is busy waits without holding others.

    A chat's class is the highest among its requests: nobody overtakes within a chat, so what stands
    before an urgent request is urgent as well.
    """

    def __init__(self) -> None:
        self._chats: dict[str, deque[SendRequest]] = {}
        self._classes: dict[str, Counter[Priority]] = {}
        self._turns: dict[Priority, OrderedDict[str, OrderedDict[str, None]]] = {
            kind: OrderedDict() for kind in PRIORITIES
        }
        self._places: dict[str, tuple[Priority, str]] = {}
        self._busy: set[str] = set()
        self._expiring: dict[str, SendRequest] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, request: SendRequest) -> None:
        """Put a request behind all others of its chat."""
        chat = str(request.to)
        self._chats.setdefault(chat, deque()).append(request)
        self._keep(request)
        self._enqueue(chat)

    def pop(self, ready: Callable[[str], bool]) -> SendRequest | None:
        """The next request whose chat is neither busy nor `ready(chat)` False; its chat is busy then."""
        for kind in PRIORITIES:
            for name, chats in self._turns[kind].items():
                for chat in chats:
                    if not ready(chat):
                        continue
                    self._turns[kind].move_to_end(name)
                    return self._pop(chat)
        return None

    def requeue(self, request: SendRequest, *, begun: bool = False) -> None:
        """A request has more to say: it is the first of its chat again, and the chat is free."""
        chat = str(request.to)
        self._chats.setdefault(chat, deque()).appendleft(request)
        self._keep(request)
        if begun:
            self.mark_started(request)
        self.release_chat(chat)

    def release_chat(self, chat: str) -> None:
        """The chat's request in hand has ended."""
        self._busy.discard(chat)
        self._enqueue(chat)

    def expired(self, now: float) -> list[SendRequest]:
        """What was not begun in time, still in its place. `now` in seconds since 1970."""
        return [one for one in self._expiring.values() if one.expires is not None and one.expires <= now]

    def mark_started(self, request: SendRequest) -> None:
        """Something of it may have left: it does not expire any more."""
        self._expiring.pop(request.entry, None)

    def remove(self, request: SendRequest) -> None:
        """Take out what will not be sent."""
        chat = str(request.to)
        self._chats[chat].remove(request)
        self._forget(request)
        self._leave(chat)
        self._enqueue(chat)

    def _pop(self, chat: str) -> SendRequest:
        request = self._chats[chat].popleft()
        self._forget(request)
        self._leave(chat)
        self._busy.add(chat)
        return request

    def _keep(self, request: SendRequest) -> None:
        self._size += 1
        self._classes.setdefault(str(request.to), Counter())[request.priority] += 1
        if request.expires is not None:
            self._expiring[request.entry] = request

    def _forget(self, request: SendRequest) -> None:
        self._size -= 1
        self._classes[str(request.to)][request.priority] -= 1
        self._expiring.pop(request.entry, None)

    def _enqueue(self, chat: str) -> None:
        queue = self._chats.get(chat)
        if not queue:
            self._chats.pop(chat, None)
            self._classes.pop(chat, None)
            return
        if chat in self._busy:
            return
        counts = self._classes[chat]
        kind = next(kind for kind in PRIORITIES if counts[kind])
        place = (kind, producer(queue[0]))
        if self._places.get(chat) != place:
            self._leave(chat)
            self._places[chat] = place
            self._turns[kind].setdefault(place[1], OrderedDict())[chat] = None

    def _leave(self, chat: str) -> None:
        place = self._places.pop(chat, None)
        if place is not None:
            kind, name = place
            chats = self._turns[kind][name]
            del chats[chat]
            if not chats:
                del self._turns[kind][name]
