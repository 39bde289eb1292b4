"""What stands in for every service in the tests of the local stack: probes, and a note of what it was told.

Run as ``python -m panier_<service>``; standard library only, so that eight of them start quickly.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = Path(__file__).parent.name.removeprefix("panier_")
PORT = os.environ["PANIER_SIMULATOR_PORT" if NAME == "simulator" else f"PANIER_{NAME.upper()}_ADMIN_PORT"]


class Probes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        document = {"ready": True, "why": None, "version": "7", "lag": {"t": {"records": 2, "seconds": 0.5}}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    told = {name: value for name, value in os.environ.items() if {"PANIER", "TOKEN", "OTEL"} & set(name.split("_"))}
    Path(os.environ["FAKE_NOTES"], f"{NAME}.json").write_text(json.dumps(told))
    server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Probes)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"hello from {NAME}", flush=True)
    server.serve_forever()
    print(f"goodbye from {NAME}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
