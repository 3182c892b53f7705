"""A Mender server's device API, as its documentation says; imports nothing of the project.

Usage: mender_server.py CERT KEY SCENARIO.json LOG. Prints its port. The scenario is read again for each request:
  accepted      device accepted (default true)
  artifact      path of the artifact to install; absent: nothing to install
  abort_at      status at which the deployment counts as aborted (409)
  fail          {path part: how many requests with it are answered with 500}
  cut           bytes after which the first download is cut
  forget_token  after this status the token is no longer valid
Every request is a line of JSON in LOG. A deployment that ended is not handed out again.
"""

import base64
import hashlib
import json
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

CERT, KEY, SCENARIO, LOG = sys.argv[1:5]
STATUS = ("downloading", "installing", "rebooting", "success", "failure")
state = {"token": 0, "ended": set(), "fails": {}, "cuts": 0}


def scenario():
    with open(SCENARIO) as file:
        return json.load(file)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_any(self):
        wish, body = scenario(), self.body()
        entry = {"method": self.command, "path": self.path, "body": body.decode("utf8", "replace")}
        if self.headers.get("Range"):
            entry["range"] = self.headers["Range"]
        with open(LOG, "a") as file:
            file.write(json.dumps(entry) + "\n")
        for part, count in wish.get("fail", {}).items():
            if part in self.path and state["fails"].get(part, 0) < count:
                state["fails"][part] = state["fails"].get(part, 0) + 1
                return self.answer(500)
        if self.path == "/api/devices/v1/authentication/auth_requests" and self.command == "POST":
            return self.login(wish, body)
        if self.path.startswith("/files/"):
            return self.download(wish)
        if self.headers.get("Authorization") != f"Bearer token.{state['token']}":
            return self.answer(401, b'{"error":"unauthorized"}')
        if self.path == "/api/devices/v1/inventory/device/attributes" and self.command in ("PUT", "PATCH"):
            assert all(set(one) == {"name", "value"} for one in json.loads(body))
            return self.answer(200)
        if self.path == "/api/devices/v2/deployments/device/deployments/next" and self.command == "POST":
            return self.next(wish, json.loads(body))
        found = re.fullmatch(r"/api/devices/v1/deployments/device/deployments/([\w-]+)/(status|log)", self.path)
        if found and self.command == "PUT":
            return self.report(wish, found[1], found[2], json.loads(body))
        return self.answer(404)

    do_GET = do_POST = do_PUT = do_PATCH = handle_any

    def login(self, wish, body):
        request = json.loads(body)
        assert isinstance(request["id_data"], str) and json.loads(request["id_data"])
        key = load_pem_public_key(request["pubkey"].encode())
        try:
            signature = base64.b64decode(self.headers["X-MEN-Signature"])
            # As the server does: PKCS#1 v1.5, or ASN.1 of r and s, over SHA-256.
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, body, ec.ECDSA(hashes.SHA256()))
            else:
                key.verify(signature, body)
        except Exception:
            return self.answer(401, b'{"error":"signature"}')
        if not wish.get("accepted", True):
            return self.answer(401, b'{"error":"dev auth: unauthorized"}')
        state["token"] += 1
        return self.answer(200, f"token.{state['token']}".encode(), "application/jwt")

    def next(self, wish, body):
        provides = body["device_provides"]
        assert provides["device_type"] and provides["artifact_name"]
        name = wish.get("id", "d-1")
        if "artifact" not in wish or name in state["ended"]:
            return self.answer(204)
        source = {"uri": f"https://localhost:{self.server.server_port}/files/{name}", "expire": "2030-01-01T00:00:00Z"}
        artifact = {"artifact_name": wish["name"], "source": source, "device_types_compatible": [provides["device_type"]]}
        return self.answer(200, json.dumps({"id": name, "artifact": artifact}).encode())

    def report(self, wish, name, what, body):
        if what == "log":
            assert all(set(one) == {"timestamp", "level", "message"} for one in body["messages"])
            return self.answer(204)
        assert body["status"] in STATUS
        if wish.get("abort_at") == body["status"]:
            state["ended"].add(name)
            return self.answer(409, b'{"error":"Deployment was aborted"}')
        if body["status"] in ("success", "failure"):
            state["ended"].add(name)
        if wish.get("forget_token") == body["status"]:
            state["token"] += 100
        return self.answer(204)

    def download(self, wish):
        with open(wish["artifact"], "rb") as file:
            data = file.read()
        etag = '"' + hashlib.sha256(data).hexdigest() + '"'
        first = 0
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if found and self.headers.get("If-Range") == etag:
            first = int(found[1])
        part = data[first:]
        self.send_response(206 if first else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(part)))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if wish.get("cut") and state["cuts"] == 0:
            state["cuts"] = 1
            self.wfile.write(part[: wish["cut"]])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(part)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
