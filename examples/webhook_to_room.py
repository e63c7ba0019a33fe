#!/usr/bin/env python3
"""Posts what webhooks bring (a build, a monitor, a shop) into a room.

    COMBLANG_TOKEN=cbk_… examples/webhook_to_room.py --room lobby [--port 9000] [--url http://127.0.0.1:8080]
    curl http://127.0.0.1:9000 -d '{"text":"Build 42 failed"}'

COMBLANG_TOKEN is an API key with the scope `messages:write` (or an access token) of a user who is a member of the room.
With WEBHOOK_SECRET (`whsec_…`) only requests signed per the Standard Webhooks specification are taken. A sender that
repeats a delivery (`webhook-id`, `X-GitHub-Delivery`, `Idempotency-Key`) posts once. The sender is answered 204 only
when the message is committed; anything else tells it to deliver again. Python's standard library is all it needs.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

BODY_BYTES_MAX = 256 * 1024
MESSAGE_CHARACTERS_MAX = 32_000
# How old a signed delivery may be: what the specification recommends.
AGE_SECONDS_MAX = 300
DELIVERY_HEADERS = ("webhook-id", "X-GitHub-Delivery", "Idempotency-Key")
TEXT_MEMBERS = ("text", "message", "summary", "title", "subject")


def text_of(body: bytes) -> str:
    """What to say: a member that looks like a sentence, else the JSON as it is, else the text as it is."""
    try:
        value = json.loads(body)
    except ValueError:
        text = body.decode(errors="replace")
    else:
        texts = [value.get(name) for name in TEXT_MEMBERS] if isinstance(value, dict) else []
        told = next((text for text in texts if isinstance(text, str)), None)
        text = told or json.dumps(value, ensure_ascii=False, indent=2)
    return text.strip()[:MESSAGE_CHARACTERS_MAX]


def is_signed(headers, body: bytes, secret: str) -> bool:
    """Whether one of the signatures is ours over `id.timestamp.body`, and fresh."""
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > AGE_SECONDS_MAX:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    given = [part.partition(",")[2] for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")]
    return any(hmac.compare_digest(base64.b64encode(expected).decode(), one) for one in given)


class Poster(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    messages_url = token = secret = ""

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return self.answer(411, "Content-Length, please")
        if not 0 <= length <= BODY_BYTES_MAX:
            return self.answer(413, f"at most {BODY_BYTES_MAX} bytes")
        body = self.rfile.read(length)
        if self.secret and not is_signed(self.headers, body, self.secret):
            return self.answer(401, "not signed by who should have")
        text = text_of(body)
        if not text:
            return self.answer(422, "nothing to say")
        self.answer(*self.post(text))

    def post(self, text: str) -> tuple[int, str]:
        """The status to give the sender: what will pass is 503, so that it delivers again."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        delivery = next((self.headers[name] for name in DELIVERY_HEADERS if self.headers[name]), None)
        if delivery:
            # Any text, of any length, becomes a key.
            headers["Idempotency-Key"] = hashlib.sha256(delivery.encode()).hexdigest()
        request = urllib.request.Request(self.messages_url, json.dumps({"content": text}).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20):
                return 204, ""
        except urllib.error.HTTPError as error:
            problem = error.read(10_000).decode(errors="replace")
            print(f"{error.code}: {problem}", file=sys.stderr, flush=True)
            return (503, "try again") if error.code in (429, 500, 502, 503, 504) else (502, "the room does not take it")
        except OSError as error:
            print(f"no answer: {error}", file=sys.stderr, flush=True)
            return 503, "try again"

    def answer(self, status: int, text: str) -> None:
        body = f"{text}\n".encode() if text else b""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        # What of a body was not read must not be taken for the next request.
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="Posts what webhooks bring into a room.")
    parser.add_argument("--url", default=os.environ.get("URL", "http://127.0.0.1:8080"))
    parser.add_argument("--room", default="lobby", help="id or name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one")
    arguments = parser.parse_args()
    Poster.token = os.environ.get("COMBLANG_TOKEN", "")
    Poster.secret = os.environ.get("WEBHOOK_SECRET", "")
    if not Poster.token:
        sys.exit("COMBLANG_TOKEN is missing: an API key with the scope messages:write")
    Poster.messages_url = f"{arguments.url.rstrip('/')}/v1/rooms/{urllib.parse.quote(arguments.room)}/messages"
    with http.server.ThreadingHTTPServer((arguments.host, arguments.port), Poster) as server:
        print(f"takes webhooks on http://{arguments.host}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
