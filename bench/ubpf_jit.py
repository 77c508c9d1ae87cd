"""uBPF's JIT from libubpf.so, line by line on stdin and stdout in JSON, as kernel_jit.py: {"load": hex}
answers {"fd"}; {"run": fd, "times": n, "data": hex} answers {"retval"} and {"ns"}, of the program's one
call, which is given n and the start of a __sk_buff with data and data_end. What fails answers {"error"}."""

import ctypes
import json
import mmap
import struct
import sys
import time

DATA, CTX = 76, 256
LOW, ROOM = 0x1000_0000, 0x1000

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
programs = []


def library():
    ubpf = ctypes.CDLL("libubpf.so")
    ubpf.ubpf_create.restype = ctypes.c_void_p
    ubpf.ubpf_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p]
    ubpf.ubpf_compile.restype = ctypes.c_void_p
    ubpf.ubpf_compile.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return ubpf


def low_memory():
    """Memory whose addresses have 32 bits, as those in a __sk_buff."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    at = libc.mmap(LOW, ROOM, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if at + ROOM > 1 << 32:
        raise OSError("no memory below 4 GiB")
    return at


def load(asked):
    code, why = bytes.fromhex(asked["load"]), ctypes.c_char_p()
    vm = ubpf.ubpf_create()
    if ubpf.ubpf_load(vm, code, len(code), ctypes.byref(why)) != 0:
        raise OSError(why.value.decode())
    entry = ubpf.ubpf_compile(vm, ctypes.byref(why))
    if not entry:
        raise OSError(why.value.decode())
    programs.append(ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t)(entry))
    return {"fd": len(programs) - 1}


def run(asked):
    packet = bytes.fromhex(asked["data"])
    start = memory + CTX
    ctypes.memmove(start, packet, len(packet))
    ctypes.memmove(memory + DATA, struct.pack("=2I", start, start + len(packet)), 8)
    begun = time.perf_counter()
    retval = programs[asked["run"]](memory, asked["times"])
    ns = (time.perf_counter() - begun) * 1e9 / asked["times"]
    return {"retval": retval & 0xFFFF_FFFF, "ns": ns}


try:
    ubpf, memory, missing = library(), low_memory(), None
except (OSError, AttributeError) as error:
    missing = str(error)

for line in sys.stdin:
    asked = json.loads(line)
    try:
        if missing:
            raise OSError(missing)
        answer = load(asked) if "load" in asked else run(asked)
    except OSError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
