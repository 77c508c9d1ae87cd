"""bpf(2) through ctypes: the commands that a trace can name, and no rule of theirs."""

import ctypes
import os
import struct

(MAP_CREATE, LOOKUP, UPDATE, DELETE, NEXT_KEY, PROG_LOAD, OBJ_PIN, OBJ_GET) = range(8)
(TEST_RUN, PROG_NEXT_ID, MAP_NEXT_ID, PROG_BY_ID, MAP_BY_ID, INFO) = range(10, 16)
(BTF_LOAD, LOOKUP_AND_DELETE, FREEZE) = (18, 21, 22)
(LOOKUP_BATCH, LOOKUP_AND_DELETE_BATCH, UPDATE_BATCH, DELETE_BATCH) = range(24, 28)

MAP_TYPES = dict(enumerate(
    "unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace"
    " cgroup_array lru_hash lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap"
    " cpumap xskmap".split()
)) | {22: "queue", 23: "stack", 25: "devmap_hash", 27: "ringbuf", 30: "bloom_filter"}
PROG_TYPES = dict(enumerate(
    "unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb".split()
))
PERCPU = {"percpu_hash", "percpu_array", "lru_percpu_hash"}
SLOTS = {"prog_array": "prog", "array_of_maps": "map", "hash_of_maps": "map"}
TARGETS = {"devmap", "devmap_hash", "cpumap"}  # a value is a number and a program

SYS_BPF = 321  # x86-64
SIZE = 168  # of union bpf_attr in Linux 6.18
libc = ctypes.CDLL(None, use_errno=True)


def possible_cpus():
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().split("-")[-1]) + 1


def bpf(cmd, attr):
    """Runs a command; `attr` is a bytearray, in which the kernel may write."""
    attr.extend(bytes(SIZE - len(attr)))
    pinned = (ctypes.c_char * SIZE).from_buffer(attr)
    ctypes.set_errno(0)
    got = libc.syscall(SYS_BPF, cmd, pinned, SIZE)
    if got < 0:
        raise OSError(ctypes.get_errno(), "")
    return got


def pack(layout, *fields):
    return bytearray(struct.pack("=" + layout, *fields))


def memory(data, size=0):
    """A buffer for the kernel: `data`, then zeros up to `size`."""
    return ctypes.create_string_buffer(data or b"", max(len(data or b""), size, 1))


def address(buffer):
    """Of a buffer; None is the null pointer."""
    return ctypes.addressof(buffer) if buffer is not None else 0


def name16(name):
    return name.encode()[:16]


def btf_load(blob):
    types = memory(blob)
    return bpf(BTF_LOAD, pack("2Q3I", address(types), 0, len(blob), 0, 0))


def map_create(type, sizes, flags=0, inner=0, name="", map_extra=0, btf=(0, 0, 0)):
    """`sizes`: key_size, value_size, max_entries; `btf`: an fd, ids of the key's and the value's type."""
    head = (type, *sizes, flags, inner, 0, name16(name))
    return bpf(MAP_CREATE, pack("7I16s5IQ", *head, 0, *btf, 0, map_extra))


def prog_load(type, insns, license="GPL", name="", flags=0, attach=0):
    code, terms = memory(insns), memory(license.encode() + b"\0")
    head = (type, len(insns) // 8, address(code), address(terms))
    return bpf(PROG_LOAD, pack("2I2Q2IQ2I16s2I", *head, 0, 0, 0, 0, flags, name16(name), 0, attach))


def element(cmd, fd, key, value=None, flags=0):
    return bpf(cmd, pack("2I3Q", fd, 0, address(key), address(value), flags))


def batch(cmd, fd, count, keys, values, start, end, elem_flags=0, flags=0):
    """Answers (errno or 0, attr.batch.count as the kernel left it)."""
    addresses = [address(buffer) for buffer in (start, end, keys, values)]
    attr = pack("4Q2I2Q", *addresses, count, fd, elem_flags, flags)
    errno = 0
    try:
        bpf(cmd, attr)
    except OSError as error:
        errno = error.errno
    return errno, struct.unpack_from("=I", attr, 32)[0]


def pin(fd, path, flags=0):
    name = memory(path.encode() + b"\0")
    return bpf(OBJ_PIN, pack("Q2I", address(name), fd, flags))


def get(path, flags=0):
    name = memory(path.encode() + b"\0")
    return bpf(OBJ_GET, pack("Q2I", address(name), 0, flags))


def by_id(cmd, id, flags=0):
    return bpf(cmd, pack("3I", id, 0, flags))


def ids(cmd):
    """Of all living objects: MAP_NEXT_ID or PROG_NEXT_ID."""
    found = 0
    while True:
        attr = pack("2I", found, 0)
        try:
            bpf(cmd, attr)
        except OSError:
            return
        found = struct.unpack_from("=I", attr, 4)[0]
        yield found


def freeze(fd):
    return bpf(FREEZE, pack("I", fd))


def test_run(fd, data, repeat=0):
    given, out = memory(data), memory(None, len(data))
    attr = pack("4I2Q2I", fd, 0, len(data), len(data), address(given), address(out), repeat, 0)
    bpf(TEST_RUN, attr)
    retval, _, size = struct.unpack_from("=3I", attr, 4)
    return retval, out.raw[:size]


def kind(fd):
    """map or prog, or None for an fd that is neither."""
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
    return {"anon_inode:bpf-map": "map", "anon_inode:bpf-prog": "prog"}.get(target)


def raw_info(fd, room=b"\0" * 256):
    info = memory(room)
    bpf(INFO, pack("2IQ", fd, len(room), address(info)))
    return info.raw


def map_info(fd):
    info = raw_info(fd)
    names = ("type", "id", "key_size", "value_size", "max_entries", "flags", "name")
    found = dict(zip(names, struct.unpack_from("=6I16s", info)))
    found["type"] = MAP_TYPES.get(found["type"], found["type"])
    found["name"] = found["name"].split(b"\0")[0].decode()
    return found | {"map_extra": struct.unpack_from("=Q", info, 80)[0]}


def prog_info(fd):
    maps = memory(None, 4 * 64)
    info = raw_info(fd, struct.pack("=52xIQ", 64, address(maps)).ljust(232, b"\0"))
    type, id, tag = struct.unpack_from("=2I8s", info)
    count = struct.unpack_from("=I", info, 52)[0]
    return {
        "type": PROG_TYPES.get(type, type),
        "id": id,
        "tag": tag.hex(),
        "name": info[64:80].split(b"\0")[0].decode(),
        "map_ids": list(struct.unpack_from(f"={count}I", maps.raw)),
    }
