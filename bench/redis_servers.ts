import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { connect, connected } from "../domain/redis/connection.ts";
import { freePorts } from "./free_ports.ts";
import { folder, START_MS, start, stop } from "./processes.ts";

/** Starts Redis servers for the bench, and a cluster of them. */

export interface RedisServer {
  url: string;
  socket: string;
  pid: number;
  client: Redis;
  stop(): Promise<void>;
}

interface ServerOptions {
  /** The URL of its TCP port on loopback, if it has one beside the unix socket. */
  port?: number;
  settings?: string[];
}

/** Persistence is off, because it would measure the disk. */
export async function startRedis(
  name: string,
  { port = 0, settings = [] }: ServerOptions = {},
): Promise<RedisServer> {
  const binary =
    spawnSync("which", ["redis-server"]).status === 0 ? "redis-server" : "valkey-server";
  const socket = join(folder, `${name}.sock`);
  const tcp = ["--bind", "127.0.0.1", "--port", String(port), "--unixsocket", socket];
  const files = ["--logfile", join(folder, `${name}.log`), "--dir", folder];
  const { pid = 0 } = start(binary, [
    ...[...tcp, ...files, "--appendonly", "no", "--save", ""],
    ...settings,
  ]);
  const client = connect(`unix://${socket}`, START_MS) as Redis;
  client.on("error", () => {}); // until it listens
  await connected(client);
  const end = async () => {
    client.disconnect();
    await stop({ pid });
  };
  const url = port === 0 ? `unix://${socket}` : `redis://127.0.0.1:${port}`;
  return { url, socket, pid, client, stop: end };
}

/** Starts a server with a TCP port, as the servers of a cluster have. */
export async function startTcpRedis(name: string): Promise<RedisServer> {
  const [port = 0] = await freePorts(1);
  return startRedis(name, { port });
}

export interface RedisCluster {
  url: string;
  masters: RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = ["0 5460", "5461 10922", "10923 16383"];
const FORM_MS = 50;

/** Resolves when every master knows the others and all slots. @throws Error if that takes too long. */
async function formed(masters: readonly RedisServer[]): Promise<void> {
  const isFormed = async ({ client }: RedisServer) => {
    const info = String(await client.call("CLUSTER", "INFO"));
    return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info);
  };
  for (let end = Date.now() + START_MS; Date.now() < end; await delay(FORM_MS)) {
    if ((await Promise.all(masters.map(isFormed))).every(Boolean)) return;
  }
  throw new Error("the cluster does not form");
}

/** Starts three masters on loopback, each with a third of the slots. */
export async function startCluster(name: string): Promise<RedisCluster> {
  const ports = await freePorts(2 * SLOTS.length);
  const [nodes, buses] = [ports.slice(0, SLOTS.length), ports.slice(SLOTS.length)];
  const masters: RedisServer[] = [];
  for (const [i, port] of nodes.entries()) {
    const settings = [
      ...["--cluster-enabled", "yes", "--cluster-port", String(buses[i])],
      ...["--cluster-config-file", `${name}-${i}.conf`],
    ];
    masters.push(await startRedis(`${name}-${i}`, { port, settings }));
  }
  for (const [i, { client }] of masters.entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
    await client.call("CLUSTER", "ADDSLOTSRANGE", ...(SLOTS[i] ?? "").split(" "));
    await client.call("CLUSTER", "MEET", "127.0.0.1", String(nodes[0]), String(buses[0]));
  }
  await formed(masters);
  const end = async () => {
    for (const master of masters) await master.stop();
  };
  const hosts = nodes.map((port) => `127.0.0.1:${port}`).join(",");
  return { url: `redis+cluster://${hosts}`, masters, stop: end };
}
