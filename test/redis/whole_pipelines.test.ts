import { afterEach, describe, expect, it } from "vitest";
import { OutcomeUnknown } from "../../domain/errno.ts";
import { type Connection, connect, type Master } from "../../domain/redis/connection.ts";
import { fromRejection } from "../../domain/redis/failures.ts";

/** Calls of a cluster, when ioredis answers a pipeline with fewer replies than it has calls. */

type Cluster = Exclude<Connection, Master>;

const clusters: Cluster[] = [];

afterEach(() => {
  for (const cluster of clusters.splice(0)) cluster.disconnect();
});

/** A cluster without servers, whose pipelines are answered with what the test says. */
function answeringWith(replies: (count: number) => unknown[]): Cluster {
  const cluster = connect("redis+cluster://127.0.0.1:1", 100) as Cluster;
  cluster.on("error", () => {});
  clusters.push(cluster);
  cluster.slots = Array.from({ length: 16_384 }, () => ["127.0.0.1:1"]);
  const { pipeline } = cluster;
  cluster.pipeline = (commands) => {
    const made = pipeline(commands) as ReturnType<typeof pipeline> & {
      _queue: unknown[];
      fillResult: () => void;
      resolve: (value: unknown) => void;
    };
    const { exec } = made;
    made.exec = (onReplies?: Parameters<typeof exec>[0]) => {
      made.fillResult = () => {};
      const done = exec(onReplies);
      made.resolve(replies(made.length));
      return done;
    };
    return made;
  };
  return cluster;
}

describe("a pipeline", () => {
  it.each([
    ["no reply at all", () => []],
    ["a reply to the first call alone", () => [[null, "one"]]],
    ["a hole in its replies", (count: number) => [...Array(count - 1), [null, "last"]]],
  ])("with %s fails all of its calls, whose outcome is unknown", async (_, replies) => {
    const cluster = answeringWith(replies);
    const results = await Promise.allSettled(["a", "b", "c"].map((key) => cluster.get(key)));
    for (const result of results) {
      expect(result.status).toBe("rejected");
      const { reason } = result as PromiseRejectedResult;
      expect(reason.message).toBe("ioredis has lost replies of a pipeline");
      expect(fromRejection(reason)).toBeInstanceOf(OutcomeUnknown);
    }
  });

  it("with a reply to each call passes them on", async () => {
    const cluster = answeringWith((count) =>
      Array.from({ length: count }, (_, i) => [null, String(i)]),
    );
    const results = await Promise.all(["a", "b", "c"].map((key) => cluster.get(key)));
    expect(results).toEqual(["0", "1", "2"]);
  });
});
