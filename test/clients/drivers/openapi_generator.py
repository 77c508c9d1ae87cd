"""The program with the client that OpenAPI Generator makes for Python."""

import json
import sys

import bpf

base, namespace = sys.argv[1:]
FRAME = "00" * 14
NINE = bytes([9, 0, 0, 0, 0, 0, 0, 0])


def show(step, *values):
    print(step, *values)


def read(call, *args):
    """It has no unions of text and objects, so what has one is read from the response itself."""
    return json.loads(call(*args, _preload_content=False).data)


configuration = bpf.Configuration(host=base)
api = bpf.ApiClient(configuration)
created = bpf.SessionsApi(api).session_create(
    session_input=bpf.SessionInput(namespace=namespace, label="clients")
)
show("session", created.session.label)
configuration.access_token = created.token

maps, elements = bpf.MapsApi(api), bpf.ElementsApi(api)
fd = maps.map_create(
    {"map_type": "hash", "key_size": 4, "value_size": 8, "max_entries": 16, "map_name": "counts"}
).fd
show("map", fd)

elements.map_update(fd, "u32:1", {"value": "u64:7"})
show("lookup", read(elements.map_lookup, fd, "u32:1")["value"])
show("bytes", elements.map_lookup_bytes(fd, "u32:1", _preload_content=False).data.hex())
elements.map_update_bytes(fd, "u32:2", NINE)
show("stored", read(elements.map_lookup, fd, "u32:2")["value"])

bpffs = bpf.BpffsApi(api)
bpffs.fs_create("/counts", bpf.PinInput(type="pin", fd=fd))
show("pin", read(bpffs.fs_stat, "/counts")["type"])
opened = bpf.FdsApi(api).fd_open(bpf.FdOpenByPath(path="/counts"))
show("open", opened.fd, opened.kind)

batches = bpf.BatchesApi(api)
update = {"op": "update", "keys": ["u32:3", "u32:4"], "values": ["u64:3", "u64:4"]}
updated = batches.map_batch(fd, update)
looked = read(batches.map_batch, fd, {"op": "lookup", "count": 2})
show("batch", updated.count, looked["count"])

try:
    elements.map_lookup(fd, "u32:99")
except bpf.ApiException as error:
    errno = json.loads(error.body)["errno"]
    assert errno == bpf.Errno.ENOENT
    show("errno", error.status, errno)

program = bpf.ProgramsApi(api).prog_load({"prog_type": "xdp", "asm": "r0 = 2\nexit"})
packet = {"data_in": FRAME}
show("run", read(bpf.TestRunsApi(api).prog_test_run, program.fd, packet)["retval"])

ring = maps.map_create({"map_type": "ringbuf", "max_entries": 4096})
records = bpf.RingBuffersApi(api)
records.ring_write(ring.fd, bpf.RecordsInput(records=["str:hi"]))
events = records.ring_events(ring.fd, _preload_content=False)
for line in events:
    if line.startswith(b"data:"):
        show("event", line[5:].decode().strip())
        break
events.close()

bpf.SessionsApi(api).session_exit()
show("exit")
