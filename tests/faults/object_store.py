"""A local S3 server, one request at a time; tells its port. It loses the first reply to each put in ``losing``."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log(self, *arguments: Any) -> None:
        pass


class Losing:
    """Does what was asked and, for some, hangs up before the answer."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app, self.lost = app, set[str]()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = list(self.app(environ, start_response))
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "PUT" and path.startswith("/losing/") and path not in self.lost:
            self.lost.add(path)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer


if __name__ == "__main__":
    app = Losing(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)
    print(server.server_port, flush=True)
    sys.stderr.close()
    server.serve_forever()
