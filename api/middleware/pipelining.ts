import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Requests pipelined on one connection take effect in their order (RFC 9112, section 9.3.2). Node
 * orders the responses, but announces a request as soon as it has parsed it.
 */

/** So many requests can wait on a connection before the service stops reading from it. */
const MAX_WAITING = 16;

/** Pauses as node:http does when responses pile up; else it restarts the socket after every message. */
function stopReading(socket: Socket & { _paused?: boolean }): void {
  socket._paused = true;
  socket.pause();
}

/** Node resumes a paused socket when it drains. */
function resumeReading(socket: Socket): void {
  socket.emit("drain");
}

interface PipelinedConnection {
  waiting: number;
  /** Number of unsafe requests without a complete response. */
  unsafe: number;
}

const isSafe = ({ method }: IncomingMessage) => method === "GET" || method === "HEAD";

/**
 * Calls `listener` when no earlier request of the connection conflicts. A safe request conflicts only
 * with unsafe ones, so GETs run concurrently.
 */
export function inOrder(listener: RequestListener): RequestListener {
  const connections = new WeakMap<Socket, PipelinedConnection>();

  function stateOf(socket: Socket): PipelinedConnection {
    const known = connections.get(socket);
    if (known) return known;
    const connection = { waiting: 0, unsafe: 0 };
    connections.set(socket, connection);
    return connection;
  }

  function onClose(this: ServerResponse): void {
    stateOf(this.req.socket).unsafe -= 1;
  }

  /** Node assigns the socket when all earlier responses are finished, and never after a disconnect. */
  function wait(connection: PipelinedConnection, req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req;
    connection.waiting += 1;
    if (connection.waiting >= MAX_WAITING) stopReading(socket);
    res.once("socket", () => {
      connection.waiting -= 1;
      if (connection.waiting === MAX_WAITING - 1) resumeReading(socket);
      listener(req, res);
    });
  }

  return (req, res) => {
    const isFirst = res.socket !== null;
    const safe = isSafe(req);
    if (isFirst && safe) return listener(req, res);
    const connection = stateOf(req.socket);
    const conflicts = !safe || connection.unsafe > 0;
    if (!safe) {
      connection.unsafe += 1;
      res.on("close", onClose);
    }
    if (isFirst || !conflicts) listener(req, res);
    else wait(connection, req, res);
  };
}
