"""A server on this machine that answers as the hub does, for as much of it as the `datasets` library asks."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(name: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve one dataset repository; yield the address and the paths that were asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"name": name, "files": dict(files), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    name: str
    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: str = "") -> None:
        path = self.path.partition("?")[0]
        self.asked.append(f"{self.command} {self.path}")
        api, resolve = f"/api/datasets/{self.name}", f"/datasets/{self.name}/resolve/"
        if path.startswith(resolve):
            self._send_file(path.removeprefix(resolve).partition("/")[2])
        elif path == api or path.startswith(f"{api}/revision/"):
            self._send_json(
                {"id": self.name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in self.files], "tags": []}
            )
        elif path.startswith(f"{api}/tree/"):
            folder = path.removeprefix(f"{api}/tree/").partition("/")[2]
            below = {
                file.removeprefix(f"{folder}/" if folder else "") for file in self.files if file.startswith(folder)
            }
            if "recursive=true" not in self.path.lower():
                below = {file.partition("/")[0] for file in below}
            self._send_json([e for file in sorted(below) for e in self._entries(f"{folder}/{file}".lstrip("/"))])
        elif path.startswith(f"{api}/paths-info/"):
            wanted = json.loads(body)["paths"] if body.startswith("{") else re.findall(r"paths=([^&]+)", body)
            self._send_json([entry for file in wanted for entry in self._entries(file)])
        else:
            self._send_error("RepoNotFound")

    def _entries(self, path: str) -> list[dict[str, Any]]:
        if path in self.files:
            return [self._entry(path)]
        inside = any(file.startswith(f"{path}/") for file in self.files)
        return [{"type": "directory", "path": path, "oid": COMMIT, "size": 0}] if inside else []

    def _entry(self, file: str) -> dict[str, Any]:
        return {"type": "file", "path": file, "oid": _digest(self.files[file]), "size": len(self.files[file])}

    def _send_file(self, file: str) -> None:
        if file not in self.files:
            self._send_error("EntryNotFound")
            return
        content = self.files[file]
        self._send(200, content, {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": COMMIT})

    def _send_json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send_error(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code, "X-Repo-Commit": COMMIT})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
