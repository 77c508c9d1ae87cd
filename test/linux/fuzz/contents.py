"""Reads and writes the contents of maps as pairs of hex keys and values; missing keys are empty.

Queues and stacks list their values in the order of popping, a ring buffer lists its records, and a
Bloom filter lists nothing. The value of a slot is the index of its program or map in the case.
"""

import mmap
import struct

import bpf

KEYLESS = {"queue", "stack"}
UNSEEN = {"bloom_filter", "prog_array", "array_of_maps", "hash_of_maps"}
PAGE = mmap.PAGESIZE
DISCARDED = 1 << 30  # BPF_RINGBUF_DISCARD_BIT
HEADER = 8


def fill(fd, shape, object_at):
    """`object_at` returns the fd of the object with this index in the case, or None."""
    for key, value in shape["elements"]:
        data = bytes.fromhex(value)
        if shape["map_type"] in bpf.SLOTS:
            object = object_at(int.from_bytes(data, "little"))
            if object is None:
                continue
            data = struct.pack("=I", object)
        where = bpf.memory(bytes.fromhex(key)) if key else None
        bpf.element(bpf.UPDATE, fd, where, bpf.memory(data))


def value_size(shape):
    size = shape["value_size"]
    if shape["map_type"] in bpf.PERCPU:
        return (size + 7) // 8 * 8 * bpf.possible_cpus()
    return size


def popped(fd, shape):
    while True:
        value = bpf.memory(None, shape["value_size"])
        try:
            bpf.element(bpf.LOOKUP_AND_DELETE, fd, None, value)
        except OSError:
            return
        yield ["", value.raw[:shape["value_size"]].hex()]


def elements(fd, shape):
    size, key = value_size(shape), None
    while True:
        after, value = bpf.memory(None, shape["key_size"]), bpf.memory(None, size)
        try:
            bpf.element(bpf.NEXT_KEY, fd, key, after)
        except OSError:
            return
        bpf.element(bpf.LOOKUP, fd, after, value)
        yield [after.raw[:shape["key_size"]].hex(), value.raw[:size].hex()]
        key = after


def records(fd, shape):
    """Maps the data pages twice in a row, so that each record is contiguous."""
    size = shape["max_entries"]
    read = {"flags": mmap.MAP_SHARED, "prot": mmap.PROT_READ}
    with (
        mmap.mmap(fd, PAGE, **read) as consumer,
        mmap.mmap(fd, PAGE + 2 * size, offset=PAGE, **read) as pages,
    ):
        at, end = (struct.unpack_from("=Q", page)[0] for page in (consumer, pages))
        while at < end:
            start = PAGE + at % size
            length = struct.unpack_from("=I", pages, start)[0]
            kept = length & ~DISCARDED
            if not length & DISCARDED:
                yield ["", pages[start + HEADER:start + HEADER + kept].hex()]
            at += (kept + HEADER + 7) // 8 * 8


def dump(fd, shape):
    type = shape["map_type"]
    if type in UNSEEN:
        return []
    if type == "ringbuf":
        return list(records(fd, shape))
    if type in KEYLESS:
        return list(popped(fd, shape))
    return sorted(elements(fd, shape))
