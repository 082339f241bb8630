"""A small server of the Open Inference Protocol v2 over HTTP: `python -m …http_server PORT DIRECTORY binary|json`.

Every ONNX file of the directory is a model. It is no more than the client's tests need.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

HEADER = "Inference-Header-Content-Length"
DTYPES = {"FP32": np.float32, "UINT8": np.uint8}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: Path
    binary: bool
    sessions: dict[str, ort.InferenceSession] = {}

    def do_GET(self) -> None:
        if self.path == "/v2":
            extensions = ["binary_tensor_data"] if self.binary else []
            self.answer(200, {"name": "test", "version": "1", "extensions": extensions})
        else:
            self.answer(200 if (self.directory / f"{self.path.split('/')[3]}.onnx").exists() else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers.get(HEADER, len(body)))
        request, tail = json.loads(body[:length]), body[length:]
        (entry,) = request["inputs"]
        dtype = DTYPES[entry["datatype"]]
        values = np.frombuffer(tail, dtype) if tail else np.array(entry["data"], dtype)
        session = self.session(self.path.split("/")[3])
        names = [output["name"] for output in request["outputs"]]
        found = session.run(names, {entry["name"]: values.reshape(entry["shape"])})
        outputs: list[dict[str, Any]] = []
        for name, array in zip(names, found, strict=True):
            output: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": "FP32"}
            if self.binary:
                output["parameters"] = {"binary_data_size": array.nbytes}
            else:
                output["data"] = array.reshape(-1).tolist()
            outputs.append(output)
        tensors = b"".join(array.astype("<f4").tobytes() for array in found) if self.binary else b""
        self.answer(200, {"model_name": "x", "outputs": outputs}, tensors)

    def session(self, name: str) -> ort.InferenceSession:
        if name not in self.sessions:
            self.sessions[name] = ort.InferenceSession(self.directory / f"{name}.onnx")
        return self.sessions[name]

    def answer(self, status: int, head: dict[str, Any], tensors: bytes = b"") -> None:
        text = json.dumps(head).encode()
        self.send_response(status)
        if tensors:
            self.send_header(HEADER, str(len(text)))
        self.send_header("Content-Length", str(len(text) + len(tensors)))
        self.end_headers()
        self.wfile.write(text + tensors)

    def log_message(self, *arguments: object) -> None:
        """Silent."""


if __name__ == "__main__":
    Handler.directory, Handler.binary = Path(sys.argv[2]), sys.argv[3] == "binary"
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
