"""Runs cases on this machine's kernel: reads each as a line of JSON and writes its result as one.

case.ts declares the fields of cases and results. Each case creates its own maps and programs and
closes them before the result is written. All cases run on CPU 0, so that per-CPU values match.
"""

import json
import os
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "record"))

import bpf
from contents import dump, fill

RDONLY_PROG = 0x80
PROG_TYPES = {name: number for number, name in bpf.PROG_TYPES.items()}
PROG_TYPES |= {"lwt_in": 10, "lwt_out": 11, "lwt_xmit": 12}
MAP_TYPES = {name: number for number, name in bpf.MAP_TYPES.items()}
PSEUDO_MAP_FD, PSEUDO_MAP_VALUE = 1, 2
LD_IMM64 = 0x18
BTF_FUNC = 3  # the third type of btf()
LOG_BYTES = 1 << 20
LOG_LINES = 12
OUT = bpf.memory(None, 5 << 20)  # for packets; programs can make them as long as kmalloc() allows


def btf():
    """Encodes BTF in which every function of every program is an `int f()`."""
    int_type = struct.pack("=4I", 1, 1 << 24, 4, 1 << 24 | 32)
    proto = struct.pack("=3I", 0, 13 << 24, 1)
    function = struct.pack("=3I", 5, 12 << 24, 2)
    types, names = int_type + proto + function, b"\0int\0f\0"
    header = struct.pack("=HBB5I", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return bpf.btf_load(header + types + names)


def locked_btf(size, at):
    """Encodes types 1 and 3: a 4-byte key, and a value of `size` bytes with a lock at `at`."""
    int_type = struct.pack("=4I", 1, 1 << 24, 4, 32)
    lock = struct.pack("=6I", 5, 4 << 24 | 1, 4, 1, 1, 0)
    value = struct.pack("=6I", 3, 4 << 24 | 1, size, 1, 2, 8 * at)
    types, names = int_type + lock + value, b"\0u\0v\0bpf_spin_lock\0"
    header = struct.pack("=HBB5I", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return bpf.btf_load(header + types + names)


def create(shape, inner):
    sizes = [shape[field] for field in ("key_size", "value_size", "max_entries")]
    arguments = (MAP_TYPES[shape["map_type"]], sizes, shape["map_flags"], inner)
    if "lock" not in shape:
        return bpf.map_create(*arguments)
    fd = locked_btf(shape["value_size"], shape["lock"])
    try:
        return bpf.map_create(*arguments, btf=(fd, 1, 3))
    finally:
        os.close(fd)


def load(type, insns, functions, btf_fd, log=None):
    """`functions` lists the first instruction of each function; an empty list loads without BTF."""
    code, terms = bpf.memory(insns), bpf.memory(b"GPL\0")
    records = b"".join(struct.pack("=2I", at, BTF_FUNC) for at in functions)
    info = bpf.memory(records)
    level, size = (1, LOG_BYTES) if log else (0, 0)
    head = (PROG_TYPES[type], len(insns) // 8, bpf.address(code), bpf.address(terms))
    middle = (level, size, bpf.address(log), 0, 0, b"", 0, 0)
    tail = (btf_fd, 8, bpf.address(info), len(functions)) if functions else (0, 0, 0, 0)
    return bpf.bpf(bpf.PROG_LOAD, bpf.pack("2I2Q2IQ2I16s4IQI", *head, *middle, *tail))


def with_fds(insns, fds):
    """Replaces map indices by fds, because a case names a map by its index."""
    out = bytearray(insns)
    for at in range(0, len(out), 8):
        if out[at] == LD_IMM64 and out[at + 1] >> 4 in (PSEUDO_MAP_FD, PSEUDO_MAP_VALUE):
            place = struct.unpack_from("=I", out, at + 4)[0]
            if fds.get(place) is not None:
                struct.pack_into("=I", out, at + 4, fds[place])
    return bytes(out)


def test_run(fd, data, ctx, repeat):
    """Returns retval, packet and context; the context has the size of the input context."""
    given = bpf.memory(data)
    context = bpf.memory(ctx) if ctx else None
    context_out = bpf.memory(None, len(ctx)) if ctx else None
    size = len(ctx) if ctx else 0
    head = (fd, 0, len(data), len(OUT), bpf.address(given), bpf.address(OUT), repeat, 0)
    attr = bpf.pack("4I2Q2I2I2Q", *head, size, size, bpf.address(context), bpf.address(context_out))
    bpf.bpf(bpf.TEST_RUN, attr)
    retval, _, length = struct.unpack_from("=3I", attr, 4)
    answer = {"retval": retval, "data": OUT[:length].hex()}
    return answer | ({"ctx": context_out.raw[:size].hex()} if ctx else {})


class Case:
    def __init__(self, case, btf_fd):
        self.case = case
        self.btf_fd = btf_fd
        self.fds = {}
        self.programs = []

    def map(self, place):
        """Creates the map at the first request and returns its fd."""
        if place not in self.fds:
            shape = self.case["maps"][place]
            inner = self.map(shape["inner"]) if "inner" in shape else 0
            fd = create(shape, inner)
            self.fds[place] = fd
            if bpf.SLOTS.get(shape["map_type"]) != "prog":
                fill(fd, shape, self.map)
            if shape["map_flags"] & RDONLY_PROG:
                bpf.freeze(fd)
        return self.fds[place]

    def load(self, program):
        insns = with_fds(bytes.fromhex(program["insns"]), self.fds)
        arguments = (self.case["type"], insns, program["functions"], self.btf_fd)
        try:
            self.programs.append(load(*arguments))
            return {"errno": 0}
        except OSError as error:
            self.programs.append(None)
            return {"errno": error.errno, "log": self.log(arguments)}

    def log(self, arguments):
        log = bpf.memory(None, LOG_BYTES)
        try:
            os.close(load(*arguments, log))
        except OSError:
            pass
        return "\n".join(log.value.decode().splitlines()[-LOG_LINES:])

    def run(self):
        case = self.case
        used = [place for place, shape in enumerate(case["maps"]) if shape is not None]
        for place in used:
            self.map(place)
        loads = [self.load(program) for program in case["programs"]]
        if self.programs[0] is None:
            return {"loads": loads}
        for place in used:
            if bpf.SLOTS.get(case["maps"][place]["map_type"]) == "prog":
                fill(self.fds[place], case["maps"][place], self.programs.__getitem__)
        ctx = bytes.fromhex(case["ctx"]) if "ctx" in case else None
        answer = {"loads": loads}
        try:
            data = bytes.fromhex(case["data"])
            answer["run"] = test_run(self.programs[0], data, ctx, case["repeat"])
        except OSError as error:
            return answer | {"run": {"errno": error.errno}}
        shown = [shape and dump(self.fds[i], shape) for i, shape in enumerate(case["maps"])]
        return answer | {"maps": shown}

    def close(self):
        for fd in [*self.fds.values(), *self.programs]:
            if fd is not None:
                os.close(fd)


def answer(line, btf_fd):
    case = Case(json.loads(line), btf_fd)
    try:
        return case.run()
    finally:
        case.close()


def main():
    os.sched_setaffinity(0, {0})
    try:
        btf_fd = btf()
    except OSError as error:
        print(json.dumps({"refused": os.strerror(error.errno)}), flush=True)
        return
    print(json.dumps({"cpus": bpf.possible_cpus(), "release": os.uname().release}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line, btf_fd)), flush=True)


if __name__ == "__main__":
    main()
