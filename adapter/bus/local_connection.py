"""Connect to a server of this machine, with the password of the embedded one if the server wants it."""

from redis.exceptions import AuthenticationError

from adapter.bus.direct_write import DirectConnection
from adapter.bus.embedded_access import find_passwords

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class LocalConnection(DirectConnection):
    """A connection for an address without credentials.

    The password is looked up at each connect: a worker may start before the server, and outlive it.
    """

    async def connect_check_health(
        self,
        check_health: bool = True,  # noqa: FBT001, FBT002 – redis-py's
        retry_socket_connect: bool = True,  # noqa: FBT001, FBT002 – likewise
    ) -> None:
        """Connect, and once more with each password that may be the server's."""
        if self.is_connected:
            return
        self.password = None
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except AuthenticationError as exc:
            refusal = exc
        else:
            return
        for password in find_passwords(int(self.port)):
            self.password = password
            try:
                await super().connect_check_health(check_health, retry_socket_connect)
            except AuthenticationError as exc:
                refusal = exc
            else:
                return
        raise refusal
