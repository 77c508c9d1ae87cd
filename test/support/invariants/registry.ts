import type { RedisClient } from "../stored.ts";
import { type Claim, ids } from "./held.ts";
import type { Dump } from "./read.ts";

/**
 * Checks what masters store about a namespace: its name stands in one registry while it is in use, a name without a
 * namespace has a visit before it, and heartbeats are written as they are read.
 */

/** id, lost and tick. */
const HEARTBEAT = /^(\S+)-\d+ -?\d+ \d+$/;
const TAG = /\{(.*)\}$/;

const isListed = async (redis: RedisClient, key: string, namespace: string) =>
  (await redis.zscore(key, namespace)) !== null;

async function readRegistries(redis: RedisClient, namespace: string) {
  const [names, due, beats] = await Promise.all([
    redis.keys("bpf:names:{*}"),
    redis.keys("bpf:due:{*}"),
    redis.keys("bpf:heartbeat:{*}"),
  ]);
  const count = async (keys: readonly string[]) =>
    (await Promise.all(keys.map((key) => isListed(redis, key, namespace)))).filter(Boolean).length;
  const texts = await Promise.all(
    beats.map(async (key) => ({ key, text: (await redis.get(key)) ?? "" })),
  );
  return { names: await count(names), due: await count(due), texts };
}

function checkHeartbeat(key: string, text: string, claim: Claim): void {
  const [, tag] = TAG.exec(key) ?? [];
  const [, id] = HEARTBEAT.exec(text) ?? [];
  claim(id === tag, `${key} is "${text}", it must be "${tag}-begin lost tick"`);
}

/** @param masters all of them, because one master may register the namespaces of another whose slot has moved. */
export async function checkRegistries(
  dump: Dump,
  claim: Claim,
  namespace: string,
  masters: readonly RedisClient[],
): Promise<void> {
  const found = { names: 0, due: 0 };
  for (const redis of masters) {
    const { names, due, texts } = await readRegistries(redis, namespace);
    found.names += names;
    found.due += due;
    for (const { key, text } of texts) checkHeartbeat(key, text, claim);
  }
  const inodes = ids(dump, "inode").filter((ino) => ino !== "1");
  const objects = ["session", "map", "prog"].flatMap((noun) => ids(dump, noun));
  const isInUse = objects.length + inodes.length > 0;
  const hasSessions = ids(dump, "session").length > 0;
  const exists = Object.keys(dump.meta).length > 0;
  claim(found.names <= 1, `${namespace} is in ${found.names} registries`);
  claim(found.due <= found.names, `${namespace} is due in ${found.due} registries that lack it`);
  claim(!isInUse || found.names === 1, `${namespace} is in use and in no registry`);
  claim(!hasSessions || found.due === 1, `${namespace} has sessions and nobody visits it`);
  const isVisited = exists || found.due > 0;
  claim(found.names === 0 || isVisited, `${namespace} is in a registry, and there is none`);
}
