"""Server-sent events by the words of the WHATWG HTML standard, section 9.2."""

import codecs
from dataclasses import dataclass


@dataclass
class Frame:
    """One dispatched server-sent event."""

    event: str
    data: str
    id: str


class EventSourceParser:
    """The event stream interpretation of the WHATWG HTML standard, fed with bytes cut anywhere."""

    def __init__(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._after_cr = False
        self._data: list[str] = []
        self._event = ""
        self._id_buffer = ""
        self.last_event_id = ""
        self.retry: int | None = None

    def feed(self, data: bytes) -> list[Frame]:
        text = self._decoder.decode(data)
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_cr and text.startswith("\n"):
            text = text[1:]  # The second half of a CRLF that was cut between two reads.
        if text:
            self._after_cr = text.endswith("\r")
        *lines, self._text = (self._text + text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
        return [frame for line in lines for frame in self._line(line)]

    def _line(self, line: str) -> list[Frame]:
        if line == "":
            return self._dispatch()
        if line.startswith(":"):
            return []
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id_buffer = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return []

    def _dispatch(self) -> list[Frame]:
        self.last_event_id = self._id_buffer
        frame = Frame(self._event or "message", "\n".join(self._data), self.last_event_id)
        has_data, self._data, self._event = bool(self._data), [], ""
        return [frame] if has_data else []
