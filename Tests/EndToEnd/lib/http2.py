"""A bare HTTP/2 client on one connection, for what httpx does not do: reset a stream, or leave its window closed."""

import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events

from .exchanges import Exchange

CANCEL = 8


class Http2:
    def __init__(self, port: int, context: ssl.SSLContext):
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), 10)
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        self._exchanges: dict[int, Exchange] = {}
        self._flush()

    def _flush(self) -> None:
        self.socket.sendall(self.state.data_to_send())

    def get(self, path: str, headers: dict[str, str]) -> int:
        """Asks, and returns the stream's number."""
        stream = self.state.get_next_available_stream_id()
        fields = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "127.0.0.1")]
        self.state.send_headers(stream, fields + [(name.lower(), value) for name, value in headers.items()], True)
        self._flush()
        self._exchanges[stream] = Exchange("by hand", "GET", path, headers.items())
        return stream

    def status(self, stream: int, seconds: float = 10) -> int:
        """Of the answer. What comes behind it is left unread in the connection."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.1, deadline - time.monotonic()))
            for event in self.state.receive_data(self.socket.recv(16_384)):
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    self._flush()
                    fields = dict(event.headers)
                    exchange, status = self._exchanges.pop(stream), int(fields[":status"])
                    exchange.answered(status, [field for field in fields.items() if not field[0].startswith(":")])
                    exchange.finish(is_whole=False)
                    return status
            self._flush()
        raise AssertionError(f"no answer within {seconds} s")

    def reset(self, stream: int) -> None:
        self.state.reset_stream(stream, CANCEL)
        self._flush()

    def close(self) -> None:
        self.socket.close()
