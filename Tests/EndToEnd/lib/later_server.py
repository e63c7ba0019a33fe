"""The server as a later version of it may be: what docs/api.md lets it add is in every answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

# What clients agree on among themselves is not the server's to add to.
FREE = ("metadata", "payload")
HEADERS_OF_A_CONNECTION = ("connection", "content-length", "transfer-encoding", "keep-alive", "date")


class LaterServer:
    """A proxy before a server: a member that the contract does not know in every object of an answer, and an event of a
    type that it does not know at the beginning of every page of the log.

    `values`: what members of that name, where they are not null, have as well.
    """

    def __init__(self, url: str, **values: str):
        self.values = values
        self.added = self.events = 0
        later = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = later.http.request(self.command, url + self.path, content=body, headers=headers)
                content = later.changed(answer)
                self.send_response(answer.status_code)
                # As they were written: httpx itself knows them in lower case only.
                for name, value in answer.headers.raw:
                    if name.decode().lower() not in HEADERS_OF_A_CONNECTION:
                        self.send_header(name.decode(), value.decode())
                if answer.status_code != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, *_) -> None:
                pass

        self.http = httpx.Client(timeout=70, trust_env=False)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "LaterServer":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.http.close()

    def changed(self, answer: httpx.Response) -> bytes:
        if not answer.headers.get("content-type", "").split(";")[0].endswith("json"):
            return answer.content
        value = answer.json()
        if isinstance(value, dict) and {"events", "cursor", "more"} <= set(value):
            self.events += 1
            value["events"].insert(0, {
                "id": value["cursor"], "type": "call.transferred", "at": "2027-01-01T00:00:00.000Z",
                "data": {"to": {"kind": "queue"}}})
        self.add_members(value)
        return json.dumps(value).encode()

    def add_members(self, value) -> None:
        if isinstance(value, list):
            for item in value:
                self.add_members(item)
        elif isinstance(value, dict):
            for name, member in value.items():
                if name in self.values and member is not None:
                    value[name] = self.values[name]
                elif name not in FREE:
                    self.add_members(member)
            value["later"] = {"kind": ["a member", 1, None]}
            self.added += 1
