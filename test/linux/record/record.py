#!/usr/bin/env python3
"""Replays trace files on this machine's kernel and writes what it answered.

    sudo python3 test/linux/record/record.py test/linux/traces/lru.json ...
    sudo python3 test/linux/record/record.py --check test/linux/traces/hash.json ...

Needs root, x86-64 and Linux 6.18 with two possible CPUs and kernel.unprivileged_bpf_disabled=2, as
the traces of the repository were recorded. To add a trace, write its steps without `result` into a
file and record it: every trace is replayed five times, and a file in which any answer differs
between two runs is not written. --check compares instead of writing. Each trace has a bpffs of its
own, in a private mount namespace, and each `proc` is a forked process; all are pinned to one CPU,
because LRU lists belong to CPUs. The ops are the methods of process.py. Maps take real memory: a
trace that asks for gigabytes makes the kernel kill other processes.
"""

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback

import bpf
from process import Process

TIMES = 5
CPU = 0
SETTLED = 1  # seconds in which the kernel's deferred freeing is long done
PLAYERS_OWN = {"observe", "exit", "kill"}  # the ops that no process runs
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


class Player:
    """One replay of one trace."""

    def __init__(self, root):
        self.root = root
        self.procs = {}
        self.named = {}  # (kind, id) -> the name that the trace gives the object

    def play(self, step):
        if step["op"] == "observe":
            return self.observe()
        if step["op"] in PLAYERS_OWN:
            self.end(step["proc"])
            return {"ok": {}}
        connection = self.process(step["proc"])
        named = {name: key for key, name in self.named.items()}
        send(connection, {**step, "object": named.get(step.get("obj"))})
        answer = receive(connection)
        if "made" in answer:
            self.named[tuple(answer["made"])] = step.get("obj")
        return self.with_names(answer["result"])

    def with_names(self, result):
        """[kind, id] after "obj" and in "maps" and "values" become names."""
        if isinstance(result, dict):
            return {key: self.with_names(value) for key, value in result.items()}
        if isinstance(result, list):
            if len(result) == 2 and isinstance(result[1], int):
                return self.named.get(tuple(result))
            return [self.with_names(value) for value in result]
        return result

    def observe(self):
        time.sleep(SETTLED)
        living = {("map", id) for id in bpf.ids(bpf.MAP_NEXT_ID)}
        living |= {("prog", id) for id in bpf.ids(bpf.PROG_NEXT_ID)}
        return {"ok": {"alive": sorted(name for key, name in self.named.items() if key in living)}}

    def process(self, proc):
        if proc not in self.procs:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            pid = os.fork()
            if pid == 0:
                ours.close()
                for _, other in self.procs.values():
                    other.close()
                serve(theirs, self.root)
            theirs.close()
            self.procs[proc] = (pid, ours.makefile("rw"))
            ours.close()
        return self.procs[proc][1]

    def end(self, proc):
        self.process(proc)
        pid, connection = self.procs.pop(proc)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        connection.close()

    def close(self):
        for proc in list(self.procs):
            self.end(proc)


def send(connection, message):
    connection.write(json.dumps(message) + "\n")
    connection.flush()


def receive(connection):
    line = connection.readline()
    if not line:
        raise SystemExit("a process of the trace died")
    return json.loads(line)


def serve(connection, root):
    """A process of the trace: runs steps until it is killed."""
    try:
        process, stream = Process(root), connection.makefile("rw")
        for line in stream:
            send(stream, process.run(json.loads(line)))
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def replay(trace):
    """The results of the steps, on a fresh bpffs."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        if bpf.libc.mount(b"bpf", root.encode(), b"bpf", 0, None):
            raise SystemExit("cannot mount bpffs; are you root?")
        player = Player(root)
        try:
            return [player.play(step) for step in trace["steps"]]
        finally:
            player.close()
            bpf.libc.umount2(root.encode(), 0)


def compact(traces):
    """The repository's layout of a trace file: a step a line."""
    parts = []
    for trace in traces:
        steps = ",\n".join("  " + json.dumps(step) for step in trace["steps"])
        parts.append(f'{{"name": {json.dumps(trace["name"])}, "steps": [\n{steps}\n]}}')
    return "[\n" + ",\n".join(parts) + "\n]\n"


def differences(trace, expected, got):
    for number, step in enumerate(trace["steps"]):
        if expected[number] != got[number]:
            given = {key: value for key, value in step.items() if key != "result"}
            answers = f"  {json.dumps(expected[number])}\n  {json.dumps(got[number])}"
            yield f"{trace['name']} step {number}: {json.dumps(given)}\n{answers}"


def check(traces):
    faults, left_out = [], 0
    for trace in traces:
        unknown = {step["op"] for step in trace["steps"]} - set(dir(Process)) - PLAYERS_OWN
        if unknown:
            left_out += 1
            print(f"  {trace['name']} is left out: it has {', '.join(sorted(unknown))}")
            continue
        faults += differences(trace, [step["result"] for step in trace["steps"]], replay(trace))
    print(f"  {len(traces) - left_out} traces replayed, {len(faults)} steps differ")
    return faults


def record(traces, path):
    faults = []
    for trace in traces:
        runs = [replay(trace) for _ in range(TIMES)]
        for other in runs[1:]:
            faults += differences(trace, runs[0], other)
        for step, result in zip(trace["steps"], runs[0]):
            step.pop("result", None)
            step["result"] = result
    if not faults:
        with open(path, "w") as file:
            file.write(compact(traces))
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what the files say")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    os.sched_setaffinity(0, {CPU})
    bpf.libc.unshare(CLONE_NEWNS)
    bpf.libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    faults = []
    for path in options.files:
        with open(path) as file:
            traces = json.load(file)
        print(path)
        faults += check(traces) if options.check else record(traces, path)
    print(*faults, sep="\n", end="\n" if faults else "")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
