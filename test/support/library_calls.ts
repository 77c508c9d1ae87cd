import { pack } from "../../domain/redis/msgpack.ts";
import type { Argument } from "../../domain/redis/redis_value.ts";
import { RETURN_ZERO } from "./insns.ts";

/** Calls every command at least once in a new namespace, in an order in which each succeeds. */

export const TOKEN = "t".repeat(43);
export const NOBODY = ["", "", "", ""] as const;

const ATTR = JSON.stringify({
  ...{ prog_type: "xdp", license: "GPL", prog_name: "p", prog_flags: 0 },
  ...{ expected_attach_type: 0, log_level: 0 },
});
const VERDICT = JSON.stringify({ refs: [], ids: [], tag: "00", log: "" });
const RUN = pack([1, [[1, ""]], [[1, "whole"]]]);
const map = (type: string, key: number, value: number, max: number) => [
  ...[type, key, value, max, 0, "", "0", "", "", "", 0, 0, 0, 0],
];
const BTF_ATTR = JSON.stringify({
  ...{ btf_size: 4, btf_flags: 0, btf_token_fd: 0, btf_log_level: 0, btf_log_size: 0 },
});

/** Commands that no session calls. */
export const SESSIONLESS = [
  ...["sweep", "release", "ring_look", "sessions_renew", "namespace_get", "namespace_delete"],
];

/** Returns the arguments of a session_create that creates session 1, made by no session. */
export function born(token: string, cpus: number): Argument[] {
  return ["seed", "", cpus, token, "label", 3_600_000, 0, 0, ",", "*", 18, 1024];
}

export const CALLS: readonly [command: string, ...args: Argument[]][] = [
  ["session_get"],
  ["session_set", "", "", "", 18, ""],
  ["session_renew"],
  ["sessions_renew", 1, TOKEN, 9, TOKEN],
  ["session_list", 0, 10, ""],
  ["session_get_by_id", 1],
  ["map_create", ...map("hash", 4, 8, 100)],
  ["map_update_elem", 3, "key0", "value000", 0, ""],
  ["map_lookup_elem", 3, "key0", 0, "", 0],
  ["map_get_next_key", 3, ""],
  ["map_dump", 3, "", 10],
  ["map_snapshot", 3],
  ["map_update_batch", 3, "key1value001", 1, 4, 0],
  ["map_lookup_batch", 3, "", 10, 0, 0, 1],
  ["map_delete_batch", 3, "key1", 1, 4, 0],
  ["map_lookup_and_delete_elem", 3, "key0", 0, ""],
  ["map_update_elem", 3, "key2", "value002", 0, ""],
  ["map_lookup_and_delete_batch", 3, "", 1, 0, 0, 1],
  ["map_update_elem", 3, "key3", "value003", 0, ""],
  ["map_delete_elem", 3, "key3", ""],
  ["obj_get_info_by_fd", 3],
  ["obj_pin", "/a", 3, 0],
  ["mkdir", "/d", 511],
  ["symlink", "/s", "/a"],
  ["link", "/d/b", "/a"],
  ["stat", "/a", 1, 1, "0", "", 10, ""],
  ["stat", "/", 1, 1, "0", "", 10, ""],
  ["setattr", "/a", 420, "", ""],
  ["rename", "/s", "/t"],
  ["obj_get", "/a", 0],
  ["dup", 4],
  ["close", 5],
  ["fd_list", 3, 10, ""],
  ["map_create", ...map("array", 4, 8, 4)],
  ["map_freeze", 5],
  ["map_create", ...map("ringbuf", 0, 0, 4096)],
  ["ring_output", 6, 0, "data"],
  ["ring_read", 6, "", 10, ""],
  ["ring_look", 1, 6, 3, 16, 0],
  ["map_create", ...map("lru_hash", 4, 8, 4)],
  ["map_update_elem", 7, "key0", "value000", 0, ""],
  ["prog_admit", ATTR, 2],
  ["prog_resolve", ATTR, 2, VERDICT],
  ["prog_stage", "d", 0, RETURN_ZERO],
  ["prog_load", ATTR, RETURN_ZERO, VERDICT, 2, ""],
  ["prog_bind_map", 8, 3, 0],
  ["prog_insns", 1, 0, 10],
  ["prog_pages", 1, "0", 0],
  ["prog_get", 1],
  ["prog_get_next_id", 0, 10, "", ""],
  ["prog_get_fd_by_id", 1],
  ["map_get", 1],
  ["map_get_next_id", 0, 10, "", ""],
  ["map_get_fd_by_id", 1, 0],
  ["prog_test_run", 8, RUN],
  ["obj_pin", "/p", 8, 0],
  ["prog_run", "/p", RUN],
  ["run_commit", pack([[], [[1, "update", Buffer.from("key9"), Buffer.from("value009"), 0]]]), "x"],
  ["map_create", "array_of_maps", 4, 4, 1, 0, "", "0", 3, "", "", 0, 0, 0, 0],
  ["map_dump_nested", 11, "", 10, "0"],
  ["btf_stage", "b", 0, "blob"],
  ["btf_load", BTF_ATTR, "", JSON.stringify({ string_bytes: 1 }), "", "", "b", ""],
  ["prog_btf", 12, 1],
  ["btf_get", 1],
  ["btf_get_next_id", 0, 10, "", ""],
  ["btf_get_fd_by_id", 1, 0],
  ["fork", "seed2", "u".repeat(43), "", ""],
  ["sendmsg", 3, 1],
  ["recvmsg"],
  ["kill", 2],
  ["unlink", "/a"],
  ["mkdir", "/e", 511],
  ["rmdir", "/e"],
  ["unlink_tree", "/d"],
  ["sweep"],
  ["release"],
  ["namespace_get"],
  ["exit"],
  ["namespace_delete"],
];
