import { describe, expect, it } from "vitest";
import { differences } from "../support/invariants/invariants.ts";
import { readNamespace } from "../support/invariants/read.ts";
import { naming } from "../support/model/map_calls.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Holders of objects, which a failed call leaves as they were. The quotes describe Linux 6.18. */

const service = await testService();
const { redis } = service.kernel.script;

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 2 };
const ARRAY = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 2 };
const KEY = "00000000";

type LifecycleRequest = [method: string, path: string, body?: unknown];

const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;
const pin = (path: string, fd: number): LifecycleRequest => ["PUT", at(path), { type: "pin", fd }];
const get = (path: string, file_flags = 0): LifecycleRequest => [
  "POST",
  "/v1/fds",
  { path, file_flags },
];
const load = (fds: number[], more = {}): LifecycleRequest => [
  "POST",
  "/v1/progs",
  { insns: naming(fds), ...more },
];
const create = (attr: object): LifecycleRequest => ["POST", "/v1/maps", attr];
const fill = (fd: number, prog: number, flags = 0, key = KEY): LifecycleRequest => [
  "PUT",
  `/v1/fds/${fd}/elements/${key}`,
  { value: { fd: prog }, flags },
];
const close = (fd: number): LifecycleRequest => ["DELETE", `/v1/fds/${fd}`];

/** The answer's body; the call must succeed. */
async function done(session: TestSession, request: LifecycleRequest) {
  const { status, body } = await session.send(...request);
  expect(
    status,
    `${request.map((part) => JSON.stringify(part))}: ${JSON.stringify(body)}`,
  ).toBeLessThan(300);
  return body;
}

const errnoOf = async (session: TestSession, request: LifecycleRequest) =>
  (await session.send(...request)).body?.errno ?? "ok";

/** Everything stored, without the counters that only grow. */
async function state(namespace: string) {
  return { ...(await readNamespace(redis, namespace)), meta: {} };
}

async function counts(session: TestSession, id = 1) {
  const { status, body } = await session.get(`/v1/maps/${id}`);
  return status === 200 ? [body.refcnt, body.usercnt, body.entries] : body.errno;
}

/** Fds 3, 4, 5: a program array, a program that names it and is in it, a hash; the table is full. */
async function fullTable() {
  const namespace = service.namespace();
  const session = await service.session(namespace, { nofile: 6 });
  await done(session, create(ARRAY));
  await done(session, load([3]));
  await done(session, create(HASH));
  await done(session, fill(3, 4));
  await done(session, pin("/a", 3));
  await done(session, ["PUT", at("/d"), { type: "directory" }]);
  await done(session, ["PUT", at("/l"), { type: "symlink", target: "l" }]);
  await done(session, ["POST", "/v1/fds/5/send", { session: session.id }]);
  return { namespace, session };
}

const FAILS: [claim: string, errno: string, request: LifecycleRequest][] = [
  ["MAP_CREATE without a free fd", "EMFILE", create(HASH)],
  ["PROG_LOAD without a free fd", "EMFILE", load([5])],
  ["OBJ_GET without a free fd", "EMFILE", get("/a")],
  ["MAP_GET_FD_BY_ID without a free fd", "EMFILE", ["POST", "/v1/fds", { map_id: 1 }]],
  ["PROG_GET_FD_BY_ID without a free fd", "EMFILE", ["POST", "/v1/fds", { prog_id: 1 }]],
  ["dup without a free fd", "EMFILE", ["POST", "/v1/fds/3/dup"]],
  ["recvmsg without a free fd", "EMFILE", ["POST", "/v1/fds/receive"]],
  ["OBJ_PIN on a pin", "EEXIST", pin("/a", 5)],
  ["OBJ_PIN on a directory", "EEXIST", pin("/d", 5)],
  ["OBJ_PIN on a dangling symlink", "EEXIST", pin("/l", 5)],
  ["OBJ_PIN below nothing", "ENOENT", pin("/x/a", 5)],
  ["OBJ_PIN below a pin", "ENOTDIR", pin("/a/b", 5)],
  ["OBJ_PIN through a loop", "ELOOP", pin("/l/b", 5)],
  ["OBJ_PIN of a dotted name", "EPERM", pin("/d/x.y", 5)],
  ["OBJ_PIN with a slash after it", "ENOENT", pin("/d/b/", 5)],
  ["OBJ_PIN of no fd", "EINVAL", pin("/b", 99)],
  ["an update with a flag", "EINVAL", fill(3, 4, 1)],
  ["an update past the end", "E2BIG", fill(3, 4, 0, "02000000")],
  ["an update with no fd", "EBADF", fill(3, 99)],
  ["an update with a map's fd", "EINVAL", fill(3, 5)],
  ["PROG_LOAD naming no fd", "EBADF", load([3, 99])],
  ["PROG_LOAD naming a program", "EINVAL", load([3, 4])],
  ["BIND_MAP of a program", "EINVAL", ["POST", "/v1/fds/4/bind-map", { map_fd: 4 }]],
  ["a hard link onto a name", "EEXIST", ["PUT", at("/d"), { type: "link", from: "/a" }]],
  ["a hard link to a directory", "EPERM", ["PUT", at("/e"), { type: "link", from: "/d" }]],
  ["rename of a pin over a directory", "EISDIR", ["POST", "/v1/rename", { from: "/a", to: "/d" }]],
  ["rename of a directory over a pin", "ENOTDIR", ["POST", "/v1/rename", { from: "/d", to: "/a" }]],
  ["rename below itself", "EINVAL", ["POST", "/v1/rename", { from: "/d", to: "/d/e" }]],
];

describe("references after a failed call", () => {
  // "any path failure gives it back", "fd failure (EMFILE/ENFILE) gives it back", "Failed
  // MAP_UPDATE_ELEM on PROG_ARRAY: slot keeps its old content", "Failed PROG_LOAD: all map refs
  // taken so far are released".
  it.each(FAILS)("%s fails with %s and leaves every count as it was", async (_, errno, request) => {
    const { namespace, session } = await fullTable();
    const before = await state(namespace);
    expect(await errnoOf(session, request)).toBe(errno);
    expect(await state(namespace)).toEqual(before);
    expect(await differences(redis, namespace)).toEqual([]);
  });

  it("a creation that finds no free fd uses up an id, other failures do not", async () => {
    // "EMFILE -> put with uref -> map freed, but one id number is consumed", "Failures before id
    // allocation (validation, name, BTF) consume no id".
    const { session } = await fullTable();
    for (const request of [
      create({ ...HASH, map_name: "a-b" }),
      create({ ...HASH, key_size: 0 }),
    ]) {
      expect(await errnoOf(session, request)).toBe("EINVAL");
    }
    expect(await errnoOf(session, load([99]))).toBe("EBADF");
    expect(await errnoOf(session, create(HASH))).toBe("EMFILE");
    expect(await errnoOf(session, load([]))).toBe("EMFILE");
    await done(session, close(5));
    expect(await done(session, create(HASH))).toEqual({ fd: 5, id: 4 });
    await done(session, close(5));
    expect(await done(session, load([]))).toMatchObject({ fd: 5, id: 3 });
  });

  it("a sent file stays in the queue when the receiver has no free fd", async () => {
    const { session } = await fullTable();
    expect(await errnoOf(session, ["POST", "/v1/fds/receive"])).toBe("EMFILE");
    await done(session, close(5));
    expect(await counts(session, 2)).toEqual([1, 1, 0]);
    const received = await done(session, ["POST", "/v1/fds/receive"]);
    expect(received).toEqual({ fd: 5, kind: "map", id: 2, from: session.id });
  });
});

/** A session of user 1000 beside one of root, its fd 3 a hash that root sent. */
async function twoUsers() {
  const namespace = service.namespace();
  const root = await service.session(namespace);
  const user = await service.session(namespace, { uid: 1000, gid: 1000, nofile: 5 });
  await done(root, create(HASH));
  await done(root, ["POST", "/v1/fds/3/send", { session: user.id }]);
  await done(user, ["POST", "/v1/fds/receive"]);
  return { root, user };
}

describe("the order of errnos", () => {
  it("OBJ_PIN checks flags, fd, path, existing name, permission in this order", async () => {
    // "bpf_fd not an open map/prog/link fd -> EINVAL (never EBADF), before the path is read",
    // "Exists -> EEXIST; this precedes [...] permission checks".
    const { root, user } = await twoUsers();
    await done(root, ["PUT", at("/d"), { type: "directory", mode: "0755" }]);
    await done(root, pin("/d/a", 3));
    expect(await errnoOf(user, ["PUT", at("/d/a"), { type: "pin", fd: 3, file_flags: 8 }])).toBe(
      "EINVAL",
    );
    expect(await errnoOf(user, pin("", 99))).toBe("EINVAL");
    expect(await errnoOf(user, pin("/d/a", 3))).toBe("EEXIST");
    expect(await errnoOf(user, pin("/d/", 3))).toBe("EEXIST");
    expect(await errnoOf(user, pin("/d/.", 3))).toBe("EEXIST");
    expect(await errnoOf(user, pin("/d/x.y", 3))).toBe("EPERM");
    expect(await errnoOf(user, pin("/d/b/", 3))).toBe("ENOENT");
    expect(await errnoOf(user, pin("/d/b", 3))).toBe("EACCES");
  });

  it("OBJ_GET checks flags, path, permission, kind, fd in this order", async () => {
    // "RDONLY and WRONLY both -> EINVAL (all before path)", "Inode is not a bpffs map/prog/link
    // -> EACCES", fd allocation last.
    const { root, user } = await twoUsers();
    await done(root, pin("/a", 3));
    await done(user, ["POST", "/v1/fds/3/dup"]);
    expect(await errnoOf(user, get("/x", 24))).toBe("EINVAL");
    expect(await errnoOf(user, get("/x"))).toBe("ENOENT");
    expect(await errnoOf(user, get("/a"))).toBe("EACCES");
    expect(await errnoOf(user, get("/"))).toBe("EACCES");
    await done(root, ["PATCH", at("/a"), { mode: "0604" }]);
    expect(await errnoOf(user, get("/a"))).toBe("EACCES");
    expect(await errnoOf(user, get("/a", 8))).toBe("EMFILE");
  });

  it("MAP_CREATE checks attributes, privilege, name, fd in this order", async () => {
    // "for an unprivileged caller attribute errors of step 7 win over EPERM (HASH key_size 0 ->
    // EINVAL), but errors checked in alloc ([...] name) lose to EPERM".
    const { user } = await twoUsers();
    expect(await errnoOf(user, create({ ...HASH, key_size: 0 }))).toBe("EINVAL");
    expect(await errnoOf(user, create({ ...HASH, map_name: "a-b" }))).toBe("EPERM");
    const { session } = await fullTable();
    expect(await errnoOf(session, create({ ...HASH, map_name: "a-b" }))).toBe("EINVAL");
    expect(await errnoOf(session, create({ ...HASH, map_flags: 24 }))).toBe("EINVAL");
  });

  it("MAP_UPDATE_ELEM checks fd, access, lock, key, flags, index, slot fd in this order", async () => {
    // "fd; not writable or frozen -> EPERM; F_LOCK bit without spin lock -> EINVAL"; "flags
    // != 0 EINVAL -> index E2BIG (before the fd is looked at) -> fd EBADF".
    const { session } = await fullTable();
    await done(session, close(5));
    await done(session, create({ ...ARRAY, map_flags: 8 }));
    expect(await errnoOf(session, fill(99, 99, 4, "00"))).toBe("EBADF");
    expect(await errnoOf(session, fill(4, 99, 4, "00"))).toBe("EINVAL");
    expect(await errnoOf(session, fill(5, 99, 4, "00"))).toBe("EPERM");
    expect(await errnoOf(session, fill(3, 99, 1, "02000000"))).toBe("EINVAL");
    expect(await errnoOf(session, fill(3, 99, 0, "02000000"))).toBe("E2BIG");
    await done(session, ["POST", "/v1/fds/3/freeze"]);
    expect(await errnoOf(session, fill(3, 99, 4, "00"))).toBe("EPERM");
  });

  it("PROG_LOAD checks flags, privilege, size, type, name, maps, fd in this order", async () => {
    // "prog_flags outside {...} -> EINVAL (also wins over EPERM)", "insn_cnt 0 -> E2BIG", "IDX /
    // fd absent -> EBADF", then "20. fd (EMFILE -> id burnt)".
    const { user } = await twoUsers();
    expect(await errnoOf(user, load([], { prog_flags: 2 ** 31 }))).toBe("EINVAL");
    expect(await errnoOf(user, ["POST", "/v1/progs", { insns: "" }])).toBe("EPERM");
    const { session } = await fullTable();
    expect(await errnoOf(session, ["POST", "/v1/progs", { insns: "", prog_type: 99 }])).toBe(
      "E2BIG",
    );
    expect(await errnoOf(session, load([99], { prog_type: 99 }))).toBe("EINVAL");
    expect(await errnoOf(session, load([99], { prog_name: "a-b" }))).toBe("EINVAL");
    expect(await errnoOf(session, load([99]))).toBe("EBADF");
    expect(await errnoOf(session, load([0]))).toBe("EINVAL");
    expect(await errnoOf(session, load([3], { prog_type: "xdp" }))).toBe("EINVAL");
    expect(await errnoOf(session, load([3]))).toBe("EMFILE");
  });
});

describe("holders of a map", () => {
  it("dup, fork and a message share one open file, and the last close frees it", async () => {
    // "dup/dup2/F_DUPFD, fork'd fd table, SCM_RIGHTS message in flight: they share the same open
    // file; object refs drop only when the last sharer closes".
    const parent = await service.session(service.namespace());
    await done(parent, create(HASH));
    expect(await done(parent, ["POST", "/v1/fds/3/dup"])).toEqual({ fd: 4 });
    const child = parent.as(await done(parent, ["POST", "/v1/session/fork"]));
    await done(child, ["POST", "/v1/fds/4/send", { session: child.id }]);
    expect(await counts(parent)).toEqual([1, 1, 0]);
    const { holders } = await done(parent, ["GET", "/v1/maps/1"]);
    const sharers = holders.files.map((row: { references: number }) => row.references);
    expect(sharers.reduce((sum: number, n: number) => sum + n, 0)).toBe(5);
    for (const fd of [3, 4]) await done(parent, close(fd));
    for (const fd of [3, 4]) await done(child, close(fd));
    expect(await counts(parent)).toEqual([1, 1, 0]);
    await done(child, ["DELETE", "/v1/session"]);
    expect(await counts(parent)).toBe("ENOENT");
  });

  it("files and pins are users of a map, a program and its bindings are not", async () => {
    // "pin = bpffs inode (not name) +1 +1", "hard link to a pin 0 0", "prog's used_maps +1 0".
    const session = await service.session(service.namespace());
    await done(session, create(HASH));
    await done(session, pin("/a", 3));
    await done(session, pin("/b", 3));
    await done(session, ["PUT", at("/c"), { type: "link", from: "/a" }]);
    await done(session, load([3, 3]));
    const { refcnt, usercnt, holders } = await done(session, ["GET", "/v1/maps/1"]);
    expect([refcnt, usercnt]).toEqual([4, 3]);
    expect(holders.files).toEqual([{ file: 1, session: session.id, references: 1 }]);
    expect(holders.inodes.sort()).toEqual([2, 3]);
    expect([holders.progs, holders.slots]).toEqual([[1], []]);
  });

  it("BIND_MAP holds a map once until the program is freed, and sets no owner", async () => {
    // "already in used_maps -> 0, no change; else appended (map refcnt+1, no uref)", "Doesn't
    // set prog-array owner, does no compatibility check".
    const session = await service.session(service.namespace());
    await done(session, create(ARRAY));
    await done(session, load([]));
    await done(session, load([], { prog_type: "xdp" }));
    for (const fd of [4, 5, 4])
      await done(session, ["POST", `/v1/fds/${fd}/bind-map`, { map_fd: 3 }]);
    expect(await counts(session)).toEqual([3, 1, 0]);
    expect((await done(session, ["GET", "/v1/fds/4"])).map_ids).toEqual([1]);
    await done(session, fill(3, 5));
    expect(await errnoOf(session, fill(3, 4))).toBe("EINVAL");
    for (const fd of [3, 5]) await done(session, close(fd));
    expect(await counts(session)).toEqual([1, 0, 0]);
    await done(session, close(4));
    expect(await counts(session)).toBe("ENOENT");
  });
});

describe("the last user of a program array", () => {
  const ENDS: [how: string, request: (session: TestSession) => LifecycleRequest][] = [
    ["unlink", () => ["DELETE", at("/a")]],
    ["rename over it", () => ["POST", "/v1/rename", { from: "/h", to: "/a" }]],
    ["rm -r", () => ["DELETE", `${at("/a")}&recursive=true`]],
  ];
  it.each(ENDS)(
    "the last user's end by %s frees the cycle of array and program",
    async (_, request) => {
      // "when it reaches 0 nobody can modify the array any more, so A drops its slots -> P freed
      // -> A freed".
      const { session } = await fullTable();
      await done(session, pin("/h", 5));
      for (const fd of [3, 4]) await done(session, close(fd));
      expect(await counts(session)).toEqual([2, 1, 1]);
      await done(session, request(session));
      expect(await counts(session)).toBe("ENOENT");
      expect(await errnoOf(session, ["GET", "/v1/progs/1"])).toBe("ENOENT");
    },
  );

  it("the last user's close clears an array that a program holds, each time anew", async () => {
    // "Not one-shot: usercnt may go 0->1 again (MAP_GET_FD_BY_ID on a map kept by a prog) and at
    // the next 0 the clear runs again"; "uref-clear of a PROG_ARRAY still happens" when frozen.
    const { session } = await fullTable();
    await done(session, ["DELETE", at("/a")]);
    await done(session, close(3));
    expect(await counts(session)).toEqual([1, 0, 0]);
    expect(await done(session, ["POST", "/v1/fds", { map_id: 1 }])).toMatchObject({ fd: 3 });
    await done(session, fill(3, 4));
    await done(session, ["POST", "/v1/fds/3/freeze"]);
    expect(await counts(session)).toEqual([2, 1, 1]);
    await done(session, close(3));
    expect(await counts(session)).toEqual([1, 0, 0]);
  });

  it("the last user's close takes nothing from a hash that a program holds", async () => {
    // "HASH, LRU_HASH, ARRAY: data kept".
    const session = await service.session(service.namespace());
    await done(session, create(HASH));
    await done(session, load([3]));
    await done(session, ["PUT", `/v1/fds/3/elements/${KEY}`, { value: "01020304" }]);
    await done(session, close(3));
    expect(await counts(session)).toEqual([1, 0, 1]);
  });
});

describe("the owner of a program array", () => {
  it("the owner of a program array is the first program's type for good", async () => {
    // "never reset, not by emptying, delete or uref-clear".
    const { session } = await fullTable();
    await done(session, ["DELETE", `/v1/fds/3/elements/${KEY}`]);
    await done(session, ["DELETE", at("/a")]);
    for (const fd of [3, 5]) await done(session, close(fd));
    await done(session, ["POST", "/v1/fds", { map_id: 1 }]);
    expect(await errnoOf(session, load([3], { prog_type: "xdp" }))).toBe("EINVAL");
    await done(session, load([3]));
  });

  it("a load that fails later for another array or a free fd still sets the owner", async () => {
    // kernel/bpf/verifier.c, core.c bpf_check_tail_call(): owners are set array by array and stay
    // when the load then fails; seen in fdinfo of 6.18.44 for both.
    const session = await service.session(service.namespace(), { nofile: 7 });
    for (const _ of [3, 4, 5]) await done(session, create(ARRAY));
    await done(session, load([4], { prog_type: "xdp" }));
    expect(await errnoOf(session, load([3, 4]))).toBe("EINVAL");
    expect(await errnoOf(session, load([5]))).toBe("EMFILE");
    expect(await errnoOf(session, fill(3, 6))).toBe("EINVAL");
    expect(await errnoOf(session, fill(5, 6))).toBe("EINVAL");
  });
});

describe("fds", () => {
  it("fds 0 to 2 are open but not maps (EINVAL), an absent fd has its own errno", async () => {
    // "closed/absent fd -> EBADF; open fd of another kind -> EINVAL. Two exceptions: OBJ_PIN folds
    // both into EINVAL and OBJ_GET_INFO_BY_FD answers EBADFD (77) for an absent fd".
    const session = await service.session(service.namespace());
    for (const fd of [0, 1, 2]) {
      expect(await errnoOf(session, ["GET", `/v1/fds/${fd}/elements/${KEY}`])).toBe("EINVAL");
      expect(await errnoOf(session, ["GET", `/v1/fds/${fd}`])).toBe("EINVAL");
      expect(await errnoOf(session, pin("/a", fd))).toBe("EINVAL");
    }
    expect(await errnoOf(session, ["GET", `/v1/fds/3/elements/${KEY}`])).toBe("EBADF");
    expect(await errnoOf(session, ["GET", "/v1/fds/3"])).toBe("EBADFD");
    expect(await done(session, create(HASH))).toMatchObject({ fd: 3 });
    const child = session.as(await done(session, ["POST", "/v1/session/fork"]));
    expect(await done(child, create(HASH))).toMatchObject({ fd: 4 });
  });

  it("info has the kernel's fields, and access belongs to the fd, not to the map", async () => {
    // "those two flags are fd-only and not stored in map_flags"; "Pinning a read-only fd
    // works [...]: OBJ_GET of it O_RDWR yields a writable fd".
    const session = await service.session(service.namespace());
    await done(session, create({ ...HASH, map_flags: 8 + 1, map_name: "a.b_1" }));
    await done(session, pin("/a", 3));
    await done(session, get("/a"));
    const unused = { evictions: 0, failed_updates: 0, revision: 0 };
    const expected = { ...HASH, kind: "map", id: 1, map_name: "a.b_1", map_flags: 1, map_extra: 0 };
    const counted = { frozen: false, refcnt: 3, usercnt: 3, entries: 0, ...unused };
    expect(await done(session, ["GET", "/v1/fds/3"])).toEqual({
      ...expected,
      ...counted,
      fd: 3,
      file_flags: 8,
    });
    expect(await done(session, ["GET", "/v1/fds/4"])).toEqual({
      ...expected,
      ...counted,
      fd: 4,
      file_flags: 0,
    });
    const write: [string, unknown] = [`elements/${KEY}`, { value: "00000000" }];
    expect(await errnoOf(session, ["PUT", `/v1/fds/3/${write[0]}`, write[1]])).toBe("EPERM");
    await done(session, ["PUT", `/v1/fds/4/${write[0]}`, write[1]]);
  });
});
