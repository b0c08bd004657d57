"""A service that speaks OpenAI's protocol, in a thread of this process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Mapping[str, str], Any]
SOON = {"retry-after-ms": "1"}


@dataclass
class Service:
    """``answers(body, n)`` makes the answer to the n-th request, from 0; ``asked`` are bodies, ``headers`` theirs."""

    answers: Callable[[dict[str, Any], int], Answer]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.asked]


def said(text: Any, finish: str = "stop", usage: tuple[int, int] | None = (10, 2)) -> Answer:
    """A reply of a chat."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    reply = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    if usage:
        reply["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return 200, {}, reply


def refused(status: int, message: str, headers: Mapping[str, str] = SOON, **more: Any) -> Answer:
    return status, headers, {"error": {"message": message, "type": "t", "param": None, "code": None, **more}}


def echo(body: dict[str, Any], _: int) -> Answer:
    """Says the last message back, in capitals."""
    return said(body["messages"][-1]["content"].upper())


@contextmanager
def service(answers: Callable[[dict[str, Any], int], Answer] = echo) -> Iterator[Service]:
    """A service on a free port of this machine."""
    known = Service(answers)

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with known.lock:
                number = len(known.asked)
                known.asked.append(body)
                known.headers.append({name.lower(): value for name, value in self.headers.items()})
                known.paths.append(self.path)
                known.under_way += 1
                known.most_at_once = max(known.most_at_once, known.under_way)
            try:
                status, headers, found = known.answers(body, number)
            finally:
                with known.lock:
                    known.under_way -= 1
            raw = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            kind = "text/html" if isinstance(found, str) else "application/json"
            try:
                self.send_response(status)
                for name, value in {**headers, "content-type": kind, "content-length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)
            except OSError:  # the asker has gone
                pass

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Receiver)
    known.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def slowly(answers: Callable[[dict[str, Any], int], Answer], seconds: float) -> Callable[[dict[str, Any], int], Answer]:
    def later(body: dict[str, Any], number: int) -> Answer:
        time.sleep(seconds)
        return answers(body, number)

    return later


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]
