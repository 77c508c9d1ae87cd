import type { CommandAccess } from "./lua_bundle.ts";

/** How each command of domain/lua uses Redis' memory. A command that is not listed may let it grow. */

/** These only read, except for a rare renewal of the caller. Redis runs them even when it is full. */
const READ = [
  ...["btf_get", "btf_get_next_id", "prog_btf"],
  ...["fd_list", "map_dump", "map_dump_nested", "map_get", "map_get_next_id", "map_get_next_key"],
  ...["map_lookup_batch", "map_lookup_elem", "map_snapshot", "namespace_get"],
  ...["obj_get_info_by_fd", "prog_get", "prog_get_next_id"],
  ...["prog_insns", "prog_pages", "prog_run", "prog_test_run", "ring_look"],
  ...["session_get", "session_get_by_id", "session_list", "stat"],
];

/** These renew or free, so they may write to a Redis that is full. */
const FREE = [
  ...["close", "exit", "kill", "map_delete_batch", "map_delete_elem"],
  ...["map_lookup_and_delete_batch", "map_lookup_and_delete_elem", "namespace_delete"],
  ...["prog_admit", "prog_resolve"],
  ...["refused", "release", "ring_read", "rmdir", "session_renew", "sessions_renew"],
  ...["sweep", "unlink", "unlink_tree"],
];

export const ACCESS: ReadonlyMap<string, CommandAccess> = new Map([
  ...READ.map((command) => [command, "read"] as const),
  ...FREE.map((command) => [command, "free"] as const),
]);
