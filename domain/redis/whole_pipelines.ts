/**
 * Makes sure that every call of a pipeline gets a reply. While slots move, ioredis can answer a pipeline with fewer
 * replies than it has calls, and its automatic pipelining then throws where nobody can catch it, which ends the process.
 */

type Replies = [error: Error | null, value: unknown][] | null | undefined;
type OnReplies = (error: Error | null | undefined, replies?: Replies) => void;

interface Pipeline {
  readonly length: number;
  exec(onReplies?: OnReplies): Promise<Replies>;
}

/** A client of ioredis. */
interface PipelineMaker {
  pipeline(commands?: unknown[][]): Pipeline;
}

/** Nothing is known of calls whose replies are lost, not even which of the replies belong to which. */
const LOST = "ioredis has lost replies of a pipeline";

function isWhole(replies: Replies, count: number): boolean {
  return Array.from({ length: count }, (_, i) => replies?.[i]).every(Array.isArray);
}

function withWholeReplies(pipeline: Pipeline): Pipeline {
  const exec = pipeline.exec.bind(pipeline);
  // ioredis calls it without a function when it sends the pipeline again.
  pipeline.exec = (onReplies?: OnReplies) => {
    if (!onReplies) return exec();
    const count = pipeline.length;
    return exec((error, replies) => {
      if (error || isWhole(replies, count)) onReplies(error, replies);
      else onReplies(new Error(LOST));
    });
  };
  return pipeline;
}

/** Lets all calls of a pipeline fail when replies are lost. */
export function keepPipelinesWhole<Client extends PipelineMaker>(cluster: Client): Client {
  const pipeline = cluster.pipeline.bind(cluster);
  cluster.pipeline = (commands) => withWholeReplies(pipeline(commands));
  return cluster;
}
