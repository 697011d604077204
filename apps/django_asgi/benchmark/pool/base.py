"""Django's MySQL backend with a pool of connections that outlive the threads that use them.

Under ASGI a thread lives as long as its request. A connection that Django keeps for the thread (CONN_MAX_AGE) is never
used again and leaks; one that it closes after each request has to be opened anew. So connections wait here in between.
"""

from queue import LifoQueue
from typing import Any

from django.db.backends.mysql import base

MAX_CONNECTIONS = 10

slots: LifoQueue[Any] = LifoQueue()  # each slot holds an idle connection, or None where none was opened yet
for _ in range(MAX_CONNECTIONS):
    slots.put(None)


class DatabaseWrapper(base.DatabaseWrapper):
    server_data: dict[str, Any] | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection from the pool; waits while all are in use."""
        connection = slots.get()
        try:
            return connection or super().get_new_connection(conn_params)
        except BaseException:
            slots.put(None)
            raise

    def _close(self) -> None:
        """Give the connection back, or close it if it may not be as good as new."""
        if self.connection is None:
            return
        reusable = self.autocommit and not self.in_atomic_block and not self.errors_occurred
        try:
            if not reusable:
                super()._close()
        finally:
            slots.put(self.connection if reusable else None)

    @property
    def mysql_server_data(self) -> dict[str, Any]:
        """Django asks each new wrapper's server for its version: here once, as the server stays the same."""
        if DatabaseWrapper.server_data is None:
            DatabaseWrapper.server_data = super().mysql_server_data
        return DatabaseWrapper.server_data
