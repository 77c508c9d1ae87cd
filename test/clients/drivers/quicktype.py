"""The program with the models that quicktype makes for Python, and requests written by hand."""

import json
import sys
import urllib.error
import urllib.request
from typing import Any, Dict, Optional, Tuple

import bpf

base, namespace = sys.argv[1:]
JSON, OCTETS = "application/json", "application/octet-stream"
headers: Dict[str, str] = {}


def send(method: str, path: str, data: Optional[bytes] = None, kind: str = JSON) -> Tuple[int, bytes]:
    request = urllib.request.Request(base + path, data, {**headers, "Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def call(method: str, path: str, body: Any = None) -> Any:
    _, answer = send(method, path, None if body is None else json.dumps(body).encode())
    return json.loads(answer) if answer else None


session = bpf.SessionInput.from_dict({"namespace": namespace, "label": "clients"})
created = bpf.SessionCreated.from_dict(call("POST", "/v1/sessions", session.to_dict()))
print("session", created.session.label)
headers["Authorization"] = "Bearer " + created.token

attributes = {"map_type": "hash", "key_size": 4, "value_size": 8, "max_entries": 16, "map_name": "counts"}
map_input = bpf.MapInput.from_dict(attributes)
created_map = bpf.MapCreated.from_dict(call("POST", "/v1/maps", map_input.to_dict()))
print("map", created_map.fd)

map_path = "/v1/fds/%d" % created_map.fd
one, two = map_path + "/elements/u32:1", map_path + "/elements/u32:2"
call("PUT", one, bpf.ElementInput.from_dict({"value": "u64:7"}).to_dict())
print("lookup", bpf.MapElement.from_dict(call("GET", one)).value)
print("bytes", send("GET", one + "/bytes")[1].hex())
send("PUT", two + "/bytes", bytes([9, 0, 0, 0, 0, 0, 0, 0]), OCTETS)
print("stored", bpf.MapElement.from_dict(call("GET", two)).value)

pin = bpf.PinInput.from_dict({"type": "pin", "fd": created_map.fd})
call("PUT", "/v1/fs?path=/counts", pin.to_dict())
print("pin", bpf.FSNode.from_dict(call("GET", "/v1/fs?path=/counts")).type.value)
by_path = bpf.FdOpenByPath.from_dict({"path": "/counts"})
opened = bpf.FdOpened.from_dict(call("POST", "/v1/fds", by_path.to_dict()))
print("open", opened.fd, opened.kind.value)

batch = {"op": "update", "keys": ["u32:3", "u32:4"], "values": ["u64:3", "u64:4"]}
updated = bpf.BatchResult.from_dict(call("POST", map_path + "/batch", batch))
looked = bpf.BatchResult.from_dict(call("POST", map_path + "/batch", {"op": "lookup", "count": 2}))
print("batch", updated.count, looked.count)

status, problem = send("GET", map_path + "/elements/u32:99")
errno = bpf.Problem.from_dict(json.loads(problem)).errno
assert errno == bpf.Errno.ENOENT
print("errno", status, errno.value)

program = bpf.ProgInput.from_dict({"prog_type": "xdp", "asm": "r0 = 2\nexit"})
loaded = bpf.ProgLoaded.from_dict(call("POST", "/v1/progs", program.to_dict()))
run = call("POST", "/v1/fds/%d/test-run" % loaded.fd, {"data_in": "00" * 14})
print("run", bpf.RunResult.from_dict(run).retval)

ring_input = bpf.MapInput.from_dict({"map_type": "ringbuf", "max_entries": 4096})
ring = bpf.MapCreated.from_dict(call("POST", "/v1/maps", ring_input.to_dict()))
records = "/v1/fds/%d/records" % ring.fd
call("POST", records, bpf.RecordsInput.from_dict({"records": ["str:hi"]}).to_dict())
stream = urllib.request.Request(base + records + "/events", headers=headers)
with urllib.request.urlopen(stream) as events:
    for line in events:
        if line.startswith(b"data:"):
            print("event", line[5:].decode().strip())
            break

if send("DELETE", "/v1/session")[0] == 204:
    print("exit")
