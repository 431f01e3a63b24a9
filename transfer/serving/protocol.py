"""HTTP as uvicorn reads it, with a limit on what comes before a body."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD = 65_536  # bytes of a request line and its headers


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose head does not end: uvicorn would keep all of it in memory."""

    _head = 0  # bytes that have come of a head which has not ended

    def data_received(self, data: bytes) -> None:
        """Read on; status 400 where the head is too long."""
        self._head += len(data)
        super().data_received(data)
        if self._head > _MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Take note that the head has ended, and go on."""
        self._head = -(2**62)  # what comes now is body
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note that a next head may begin, and go on."""
        self._head = 0
        super().on_message_complete()
