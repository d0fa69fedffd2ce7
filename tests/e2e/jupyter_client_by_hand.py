"""A browser's part of Jupyter's protocol, written out: requests with a token, a kernel that runs a cell."""

import json
import uuid
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import websocket

_OPENER = build_opener(ProxyHandler({}))
_PATIENCE = 60


def ask(address: str, token: str | None, *, method: str = "GET", sent: Any = None) -> tuple[int, Any]:
    """The status of an answer, and what it holds where that is JSON."""
    headers = {"Authorization": f"token {token}"} if token else {}
    body = None if sent is None else json.dumps(sent).encode()
    try:
        with _OPENER.open(Request(address, body, headers, method=method), timeout=_PATIENCE) as answer:
            raw = answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, json.loads(raw) if raw and is_json else raw.decode()
    except HTTPError as error:
        return error.code, None


def run_cell(server: str, token: str, code: str) -> str:
    """Start a kernel, run a cell over its websocket, and hand back what it printed."""
    status, kernel = ask(f"{server}/api/kernels", token, method="POST", sent={})
    assert status == 201
    channels = f"{server.replace('http', 'ws', 1)}/api/kernels/{kernel['id']}/channels?token={token}"
    connection = websocket.create_connection(channels, timeout=_PATIENCE, http_no_proxy=["*"])
    try:
        return _printed(connection, code)
    finally:
        connection.close()
        ask(f"{server}/api/kernels/{kernel['id']}", token, method="DELETE")


def _printed(connection: websocket.WebSocket, code: str) -> str:
    identity = uuid.uuid4().hex
    header = {
        "msg_id": identity,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "test",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
    }
    request = {"header": header | {"version": "5.3", "date": ""}, "content": content}
    connection.send(
        json.dumps(request | {"parent_header": {}, "metadata": {}, "channel": "shell", "buffers": []})
    )
    printed = ""
    while True:
        answer = json.loads(connection.recv())
        if answer["parent_header"].get("msg_id") != identity:
            continue
        match answer["msg_type"]:
            case "stream":
                printed += answer["content"]["text"]
            case "error":
                raise AssertionError("\n".join(answer["content"]["traceback"]))
            case "status" if answer["content"]["execution_state"] == "idle":
                return printed
