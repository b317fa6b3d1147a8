"""An S3 server of its own on this machine (moto's, as a process), and a proxy before it that makes it fail."""

import http.client
import math
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import boto3

from derma_assets_tests.running import BIN, free_port

# What must not be found anywhere.
ACCESS_KEY, SECRET_KEY = "AKIAVISIBLEONLYINENV", "a-secret-that-is-only-in-the-environment"


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        address: Of the server, such as http://127.0.0.1:5000.
    """

    address: str

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """Return what a process needs to use it; `endpoint`: of a proxy before it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.address,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def client(self) -> Any:
        """A client that asks the server itself, past the project's own code."""
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return every object of a bucket by key."""
        client = self.client
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server meanwhile."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, env=kept, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            assert process.poll() is None, "moto_server has ended"
            time.sleep(0.1)
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(timeout=30)


Kind = Literal["status", "silent", "slow", "cut download", "cut upload", "hang upload"]


@dataclass
class Fault:
    """What goes wrong.

    Attributes:
        kind: `status`: answered with an error. `silent`: no answer for `seconds`. `slow`: the answer comes in pieces
            over `seconds`. `cut download`, `cut upload`: the connection is reset in the middle of a body.
            `hang upload`: the middle of a body is the last that is taken, until the client gives up.
        method: Of the requests that it happens to.
        key: A part of the object's key.
        times: To how many requests.
        status, code: Of the answer.
        seconds: How long.
        happened: How often it has; `begun` is set the first time.
    """

    kind: Kind
    method: str = ""
    key: str = ""
    times: float = math.inf
    status: int = 500
    code: str = "InternalError"
    seconds: float = 0.0
    happened: int = 0
    begun: threading.Event = field(default_factory=threading.Event)

    def strikes(self, method: str, path: str) -> bool:
        """Return whether it happens to a request, and count it."""
        if self.happened >= self.times or self.method not in ("", method) or self.key not in path:
            return False
        self.happened += 1
        self.begun.set()
        return True


@dataclass
class Proxy:
    """A running proxy: its address, and the faults that it makes, of which the first that fits happens."""

    address: str
    faults: list[Fault] = field(default_factory=list)

    def make(self, fault: Fault) -> Fault:
        """Make a fault from now on, and return it."""
        self.faults = [fault]
        return fault


@contextmanager
def proxy_before(server: S3Server) -> Iterator[Proxy]:
    """Run a proxy before a server meanwhile."""
    proxy = Proxy("")
    upstream = urllib.parse.urlsplit(server.address).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # the client has gone, or was cut off
                super().handle()

        def answer(self) -> None:
            fault = next((one for one in proxy.faults if one.strikes(self.command, self.path)), None)
            length = int(self.headers.get("Content-Length") or 0)
            if fault and fault.kind in ("cut upload", "hang upload"):
                self.rfile.read(length // 2)
                if fault.kind == "hang upload":
                    self.connection.settimeout(60)
                    while self.rfile.read1(1):  # nothing of it is passed on
                        time.sleep(0.01)
                return self.cut()
            body = self.rfile.read(length)
            if fault and fault.kind == "status":
                error = f"<Error><Code>{fault.code}</Code><Message>A fault was injected.</Message></Error>".encode()
                return self.send(fault.status, {"Content-Type": "application/xml"}, error, len(error))
            if fault and fault.kind == "silent":
                time.sleep(fault.seconds)
            connection = http.client.HTTPConnection(upstream, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
            connection.close()
            told = {
                name: value
                for name, value in response.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date")
            }
            # An answer to HEAD has the length of what it does not have.
            length = int(response.getheader("Content-Length") or len(content))
            if fault and fault.kind == "cut download":
                self.send(response.status, told, content[: len(content) // 2], length)
                self.wfile.flush()
                return self.cut()
            pause = fault.seconds / 10 if fault and fault.kind == "slow" else 0.0
            return self.send(response.status, told, content, length, pause)

        def send(self, status: int, headers: dict[str, str], content: bytes, length: int, pause: float = 0.0) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            step = -(-len(content) // 10) if pause else len(content)
            for start in range(0, len(content), max(step, 1)):
                self.wfile.write(content[start : start + step])
                time.sleep(pause)

        def cut(self) -> None:
            self.close_connection = True
            # Reset, not closed in good order.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        proxy.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            thread.join()
