"""A process of a trace: one method for each op, named as the op is. Each answers the result's `ok`.

lookup_batch and lookup_and_delete_batch take `count`, `in` (null, or the name that an earlier
step's `out` gave to its cursor) and answer count, keys and values, with ENOENT too. A hash has no
order, so its elements are sorted by key. walk_batch and drain_batch call them until the end,
whatever batches the buckets allow. lookup with a `value` peeks a bloom filter. map_create with `btf`
(base64) loads that first; `key_type` and `value_type` are ids in it.
"""

import base64
import errno
import os

import bpf

ABSENT = 999  # a symbol that was never bound is a bad fd
ERRNO = errno.errorcode | {524: "ENOTSUPP", 95: "EOPNOTSUPP"}
HASHED = {"hash", "percpu_hash", "lru_hash", "lru_percpu_hash", "hash_of_maps"}
MAP_NUMBERS = {name: number for number, name in bpf.MAP_TYPES.items()}
PROG_NUMBERS = {name: number for number, name in bpf.PROG_TYPES.items()}
PR_SET_DUMPABLE = 4


class Refused(Exception):
    """A batch that failed: its errno, and what the kernel left besides."""


class Process:
    def __init__(self, root):
        self.root = root
        self.fds = {}
        self.cursors = {}

    def run(self, step):
        self.made = None
        try:
            answer = {"result": {"ok": getattr(self, step["op"])(step) or {}}}
        except OSError as error:
            answer = {"result": {"errno": ERRNO[error.errno]}}
        except Refused as refused:
            answer = {"result": refused.args[0]}
        return answer | ({"made": self.made} if self.made else {})

    def fd(self, symbol):
        return self.fds.get(symbol, ABSENT)

    def shape(self, step):
        """Type, key size and the size of a value as the syscall sees it; of what is no map, any."""
        fd = self.fd(step["fd"])
        if bpf.kind(fd) != "map":
            return None, 4, 8
        info = bpf.map_info(fd)
        value = info["value_size"]
        if info["type"] in bpf.PERCPU:
            value = (value + 7) // 8 * 8 * bpf.possible_cpus()
        return info["type"], info["key_size"], value

    def given(self, value):
        """The bytes of a key or value of a step, or None for a null pointer."""
        if isinstance(value, dict):
            return self.fd(value["fd"]).to_bytes(4, "little")
        return None if value is None else bytes.fromhex(value)

    def buffer(self, value, size):
        return None if value is None else bpf.memory(self.given(value), size)

    def shown(self, type, value):
        """A slot is told by the object in it."""
        if type in bpf.SLOTS:
            return {"obj": [bpf.SLOTS[type], int.from_bytes(value, "little")]}
        return {"value": value.hex()}

    def bind(self, step, fd):
        self.fds[step["as"]] = fd
        return {"obj": identity(fd)}

    def make(self, step, fd):
        self.made = self.bind(step, fd)["obj"]

    def map_create(self, step):
        sizes = [step[field] for field in ("key_size", "value_size", "max_entries")]
        inner = self.fd(step["inner"]) if "inner" in step else 0
        optional = ("flags", "name", "map_extra")
        options = {field: step[field] for field in optional if field in step}
        type = MAP_NUMBERS.get(step["type"], step["type"])
        if "btf" not in step:
            return self.make(step, bpf.map_create(type, sizes, inner=inner, **options))
        btf = bpf.btf_load(base64.b64decode(step["btf"]))
        try:
            options["btf"] = (btf, step["key_type"], step["value_type"])
            self.make(step, bpf.map_create(type, sizes, inner=inner, **options))
        finally:
            os.close(btf)

    def prog_load(self, step):
        insns = bytearray.fromhex(step["insns"])
        for reloc in step.get("relocs", []):
            at = reloc["insn"] * 8
            insns[at + 1] = insns[at + 1] & 15 | 16  # src_reg = BPF_PSEUDO_MAP_FD
            insns[at + 4:at + 8] = self.fd(reloc["fd"]).to_bytes(4, "little")
        options = {field: step[field] for field in ("license", "name", "flags") if field in step}
        type = PROG_NUMBERS.get(step["type"], step["type"])
        self.make(step, bpf.prog_load(type, bytes(insns), **options))

    def element(self, cmd, step):
        """A step's `value` goes in: to update, and to look up in a bloom filter."""
        type, key_size, value_size = self.shape(step)
        key = self.buffer(step["key"], key_size)
        if cmd == bpf.DELETE:  # its last field is the key
            value = None
        elif cmd == bpf.NEXT_KEY:
            value = bpf.memory(None, key_size)
        elif "value" in step:
            value = self.buffer(step["value"], value_size)
        else:
            value = bpf.memory(None, value_size)
        bpf.element(cmd, self.fd(step["fd"]), key, value, step.get("flags", 0))
        return type, value, value_size

    def lookup(self, step):
        type, value, size = self.element(bpf.LOOKUP, step)
        return self.shown(type, value.raw[:size])

    def lookup_and_delete(self, step):
        type, value, size = self.element(bpf.LOOKUP_AND_DELETE, step)
        return self.shown(type, value.raw[:size])

    def update(self, step):
        self.element(bpf.UPDATE, step)

    def delete(self, step):
        self.element(bpf.DELETE, step)

    def next_key(self, step):
        key_size = self.shape(step)[1]
        return {"key": self.element(bpf.NEXT_KEY, step)[1].raw[:key_size].hex()}

    def walk(self, step):
        keys = []
        while True:
            try:
                keys.append(self.next_key({**step, "key": keys[-1] if keys else None})["key"])
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                return {"keys": sorted(keys)}

    def batch(self, cmd, step, count, keys, values, end=None):
        start = self.cursors.get(step.get("in"))
        flags = [step.get("elem_flags", 0), step.get("flags", 0)]
        return bpf.batch(cmd, self.fd(step["fd"]), count, keys, values, start, end, *flags)

    def write_batch(self, cmd, step):
        keys = bpf.memory(b"".join(map(self.given, step["keys"])))
        values = bpf.memory(b"".join(map(self.given, step.get("values", []))))
        failed, count = self.batch(cmd, step, len(step["keys"]), keys, values)
        if failed:
            raise Refused({"errno": ERRNO[failed], "count": count})
        return {"count": count}

    def update_batch(self, step):
        return self.write_batch(bpf.UPDATE_BATCH, step)

    def delete_batch(self, step):
        return self.write_batch(bpf.DELETE_BATCH, step)

    def read_batch(self, cmd, step):
        type, key_size, value_size = self.shape(step)
        room = step["count"]
        keys, values = bpf.memory(None, room * key_size), bpf.memory(None, room * value_size)
        end = bpf.memory(None, max(key_size, 4))
        failed, count = self.batch(cmd, step, room, keys, values, end)
        self.cursors[step.get("out")] = end
        if failed not in (0, errno.ENOENT):
            raise Refused({"errno": ERRNO[failed], "count": count})
        pairs = list(zip(cut(keys, key_size, count), cut(values, value_size, count)))
        if type in HASHED:
            pairs.sort()
        shown = [self.shown(type, value) for _, value in pairs]
        found = {"count": count, "keys": [key.hex() for key, _ in pairs]}
        found["values"] = [value.get("value", value) for value in shown]
        if failed:
            raise Refused({"errno": ERRNO[failed]} | found)
        return found

    def lookup_batch(self, step):
        return self.read_batch(bpf.LOOKUP_BATCH, step)

    def lookup_and_delete_batch(self, step):
        return self.read_batch(bpf.LOOKUP_AND_DELETE_BATCH, step)

    def walk_batch(self, step, cmd=bpf.LOOKUP_BATCH):
        """All pairs by key; batches of `count`, and of more where a bucket has more."""
        pairs, step = [], {**step, "in": None, "out": "walk"}
        while True:
            try:
                found = self.read_batch(cmd, step)
            except Refused as refused:
                found = refused.args[0]
                if found["errno"] == "ENOSPC":
                    step["count"] *= 2
                    continue
                if found["errno"] != "ENOENT":
                    raise
            pairs += zip(found["keys"], found["values"])
            if "errno" in found:
                pairs.sort(key=lambda pair: pair[0])
                return {"keys": [key for key, _ in pairs], "values": [value for _, value in pairs]}
            step["in"] = "walk"

    def drain_batch(self, step):
        return self.walk_batch(step, bpf.LOOKUP_AND_DELETE_BATCH)

    def freeze(self, step):
        bpf.freeze(self.fd(step["fd"]))

    def info(self, step):
        fd = self.fd(step["fd"])
        kind = bpf.kind(fd)
        if kind == "prog":
            info = bpf.prog_info(fd)
            info["maps"] = [["map", id] for id in info.pop("map_ids")]
        else:
            info = bpf.map_info(fd)
            if not info["map_extra"]:
                del info["map_extra"]
        return info | {"kind": kind, "obj": [kind, info.pop("id")]}

    def test_run(self, step):
        packet = bytes.fromhex(step.get("data", "00" * 64))
        retval, data = bpf.test_run(self.fd(step["fd"]), packet, step.get("repeat", 0))
        return {"retval": retval} | ({"data": data.hex()} if "data" in step else {})

    def obj_pin(self, step):
        bpf.pin(self.fd(step["fd"]), self.root + step["path"], step.get("file_flags", 0))

    def obj_get(self, step):
        return self.bind(step, bpf.get(self.root + step["path"], step.get("file_flags", 0)))

    def fd_by_id(self, step):
        kind, id = step["object"] or ("map", 0)
        cmd = bpf.MAP_BY_ID if kind == "map" else bpf.PROG_BY_ID
        return self.bind(step, bpf.by_id(cmd, id, step.get("open_flags", 0)))

    def dup(self, step):
        return self.bind(step, os.dup(self.fd(step["fd"])))

    def close(self, step):
        os.close(self.fd(step["fd"]))

    def unlink(self, step):
        os.unlink(self.root + step["path"])

    def mkdir(self, step):
        os.mkdir(self.root + step["path"], step.get("mode", 0o777))

    def chmod(self, step):
        os.chmod(self.root + step["path"], step["mode"])

    def setids(self, step):
        os.setgroups([])
        os.setresgid(*[step["gid"]] * 3)
        os.setresuid(*[step["uid"]] * 3)
        bpf.libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # so that it may read its own /proc/self/fd


def identity(fd):
    kind = bpf.kind(fd)
    info = bpf.prog_info(fd) if kind == "prog" else bpf.map_info(fd)
    return [kind, info["id"]]


def cut(buffer, size, count):
    return [buffer.raw[i * size:(i + 1) * size] for i in range(count)]
