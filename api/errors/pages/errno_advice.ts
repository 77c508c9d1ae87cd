import type { ErrnoName } from "../../../domain/errno.ts";
import type { Advice } from "./advice.ts";

/** What each errno means for an operation, and what its caller can do. */

export const ERRNO_ADVICE: Readonly<Record<ErrnoName, Advice>> = {
  EPERM: {
    meaning: "The session's capabilities, its uid or the access mode of the fd do not allow this.",
    remedy: "Use a session with the capability that `detail` names, or an fd with another mode.",
  },
  ENOENT: {
    meaning: "No node has the path, no object has the id, or the map does not have the key.",
    remedy: "Look for the name or the key in a list; somebody may have removed it.",
  },
  ESRCH: {
    meaning: "No session of the namespace has this id.",
    remedy: "List the sessions; a session that has ended does not come back.",
  },
  E2BIG: {
    meaning: "A map is full, or something exceeds a limit of the kernel or of the service.",
    remedy: "Delete elements, create a larger map, or split what `detail` says is too large.",
  },
  EBADF: {
    meaning: "The fd is not open in this session.",
    remedy: "List the session's fds; each session has its own.",
  },
  EAGAIN: {
    meaning: "The request cannot be carried out now, because others are busy with the same.",
    remedy:
      "Try again: with the same Idempotency-Key after Retry-After, without it with a new one.",
  },
  ENOMEM: {
    meaning: "A size exceeds what may be allocated, or Redis has reached its maxmemory.",
    remedy: "Create a smaller object, free others, or ask the operator to raise maxmemory.",
  },
  EACCES: {
    meaning: "The mode of a pin or directory denies the access, or the verifier rejects a program.",
    remedy: "Compare mode and owner with the session's uid; for a program read `log`.",
  },
  EFAULT: {
    meaning: "A needed argument is absent, or a program accessed memory that it was not given.",
    remedy: "Send the key or the values; for a run, `fault` names the instruction.",
  },
  EBUSY: {
    meaning: "The root, `.` or `..` can be neither removed nor renamed.",
    remedy: "Name the node itself.",
  },
  EEXIST: {
    meaning: "The path or the key already exists.",
    remedy: "Choose another name, remove the old one, or replace it: rename over a pin, flags 0.",
  },
  ENODEV: {
    meaning: "The service has no such interface or CPU.",
    remedy: "Use interface 1, or a CPU below the number of `cpus` of the session.",
  },
  ENOTDIR: {
    meaning: "A component of the path is not a directory.",
    remedy: "Show each parent of the path.",
  },
  EISDIR: {
    meaning: "The path is a directory.",
    remedy: "Remove it with `type=directory` or `recursive=true`.",
  },
  EINVAL: {
    meaning: "The request does not match the contract, or the command rejects an argument.",
    remedy: "Read `errors`: its pointers name the fields, its details what is allowed.",
  },
  EMFILE: {
    meaning: "The session has as many fds as its `nofile` allows.",
    remedy: "Close fds, or create a session with a larger `nofile`.",
  },
  EFBIG: {
    meaning: "The answer would be too large.",
    remedy: "Request fewer elements at a time, or `format=hex`.",
  },
  ENOSPC: {
    meaning: "A trie is full, or a packet does not fit into `data_size_out`.",
    remedy: "Delete elements; for a run, `run` has the result, which has taken effect.",
  },
  ENAMETOOLONG: {
    meaning: "A name has more than 255 bytes, or a path more than 4095.",
    remedy: "Choose shorter names.",
  },
  ENOTEMPTY: {
    meaning: "The directory has entries.",
    remedy: "Remove them first, or use `recursive=true`.",
  },
  ELOOP: {
    meaning: "The path leads through more than 40 symlinks.",
    remedy: "Look for a symlink that leads back to itself.",
  },
  EPROTO: {
    meaning: "An instruction needs `fd_array`, which is absent.",
    remedy: "Send `fd_array`, or name the map by its fd.",
  },
  EOVERFLOW: {
    meaning: "The queue of a cpumap slot is too large.",
    remedy: "Use at most 16384 entries.",
  },
  EBADFD: {
    meaning: "The fd is not open; Linux has this errno where it shows an object by its fd.",
    remedy: "List the session's fds.",
  },
  EOPNOTSUPP: {
    meaning: "This map type or object file does not support the command.",
    remedy: "Use another map type; `detail` says what an object file needs.",
  },
  ESTALE: {
    meaning: "A condition failed: no tag of If-Match matches, or If-None-Match found something.",
    remedy: "Read the current value with its ETag, decide again, and repeat.",
  },
  ENOTSUPP: {
    meaning: "This kind of map or program does not support the command, flag or instruction.",
    remedy: "Use another type; the guide lists what each supports.",
  },
};
