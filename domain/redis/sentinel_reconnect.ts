/**
 * Makes a client of sentinels connect again when a failover is announced while it connects. ioredis takes
 * its own end of that attempt for the end of the client, which then stays without a connection.
 */

interface Connector {
  connect(onError: unknown): Promise<unknown>;
}

/** A client of ioredis, which does not connect before its first call. */
interface SentinelClient {
  disconnect(reconnect?: boolean): void;
  connect(): Promise<unknown>;
}

/** Connects the client, again and again until somebody disconnects it. */
export function keepConnecting<Client extends SentinelClient>(client: Client): Client {
  const { connector } = client as unknown as { connector: Connector };
  const [connect, disconnect] = [connector.connect.bind(connector), client.disconnect.bind(client)];
  let isStopped = false;
  client.disconnect = (reconnect = false) => {
    isStopped ||= !reconnect;
    disconnect(reconnect);
  };
  connector.connect = async (onError) => {
    for (;;) {
      try {
        return await connect(onError);
      } catch (error) {
        if (isStopped || (error as Error).message !== "Connection is closed.") throw error;
      }
    }
  };
  // A failure is an event of the client as well.
  client.connect().catch(() => {});
  return client;
}
