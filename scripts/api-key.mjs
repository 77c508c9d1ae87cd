// Makes an API key: prints it once and writes its SHA-256, never the key, into the keys file.
//
//   node scripts/api-key.mjs --id ci --namespace default --namespace 'team-*' --uid 1000
//
// The rights are the most that a session made with the key may ask for; uid 0 may ask for any uid.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const usage = `usage: node scripts/api-key.mjs --id NAME [options]
  --namespace NAME    a namespace, or the beginning of some with * at its end; repeatable (default)
  --uid N             highest credentials: user id, 0 = any (1000)
  --gid N             group id, 0 = any (the uid)
  --capability NAME   CAP_BPF and so on (also cap_bpf or bpf), or all; repeatable (none)
  --admin             may list and delete its namespaces
  --file PATH         keys file (api-keys.json)
`;

// As in domain/capabilities.ts: this script runs before any module is installed.
const capabilities = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE " +
  "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO " +
  "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME " +
  "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG " +
  "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

function fail(message) {
  process.stderr.write(`${message}\n\n${usage}`);
  process.exit(2);
}

function options() {
  const several = { type: "string", multiple: true };
  const one = { type: "string" };
  const flag = { type: "boolean" };
  try {
    return parseArgs({
      options: {
        ...{ id: one, namespace: several, uid: one, gid: one, capability: several, admin: flag },
        file: one,
      },
    }).values;
  } catch (error) {
    return fail(error.message);
  }
}

function number(name, text) {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value < 2 ** 32 - 1
    ? value
    : fail(`--${name} must be a number from 0 to 4294967294, got ${text}`);
}

function checked(name, values, pattern) {
  for (const value of values)
    if (!pattern.test(value)) fail(`--${name} must match ${pattern.source}, got ${value}`);
  return values;
}

function checkedCapabilities(values) {
  const names = values.map((value) => {
    if (value.toLowerCase() === "all") return "all";
    const name = `CAP_${value.toUpperCase().replace(/^CAP_/, "")}`;
    if (capabilities.includes(name)) return name;
    return fail(
      `--capability must be all or one of ${capabilities.join(", ")}, got ${JSON.stringify(value)}`,
    );
  });
  return names.includes("all") ? "all" : [...new Set(names)];
}

function readKeys(file) {
  if (!existsSync(file)) return [];
  try {
    const { keys } = JSON.parse(readFileSync(file, "utf8"));
    if (Array.isArray(keys)) return keys;
  } catch {}
  return fail(`${file} must be a keys file like {"keys": [...]}`);
}

const { id = fail("--id is missing"), file = "api-keys.json", ...rest } = options();
checked("id", [id], /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
const keys = readKeys(file);
if (keys.some((entry) => entry.id === id)) fail(`${file} has a key ${id} already: remove it first`);

const uid = number("uid", rest.uid ?? "1000");
const key = `bpfk_${randomBytes(32).toString("base64url")}`;
keys.push({
  id,
  sha256: createHash("sha256").update(key).digest("hex"),
  namespaces: checked(
    "namespace",
    rest.namespace ?? ["default"],
    /^(?=.)([a-z0-9][a-z0-9-]{0,62})?\*?$/,
  ),
  uid,
  gid: number("gid", rest.gid ?? String(uid)),
  capabilities: checkedCapabilities(rest.capability ?? []),
  ...(rest.admin && { admin: true }),
});
// Readable by all: the service in a container is another user, and a hash of 256 random bits tells
// nothing. Written beside and renamed, so that a service that reads it never sees half a file.
writeFileSync(`${file}.new`, `${JSON.stringify({ keys }, null, 2)}\n`, { mode: 0o644 });
renameSync(`${file}.new`, file);
process.stderr.write(`key ${id} added to ${file}; it is shown this once:\n`);
process.stdout.write(`${key}\n`);
