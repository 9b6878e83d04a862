import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy between a client and a server of a test, with the faults of a network. */
export interface TcpProxy {
  readonly port: number;
  /** Ends every connection with a reset. New ones pass. */
  cut(): void;
  /** Forwards nothing more, in either direction, and says nothing: as a cable that was pulled. New ones are taken. */
  stall(): void;
  /** Forwards again, what was held back first. */
  flow(): void;
  /** Cuts and closes. Safe to repeat. */
  stop(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Starts a proxy on a free port of the loopback address. `target`: host:port. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const colon = target.lastIndexOf(":");
  const to = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
  const pairs = new Set<Pair>();
  let isStalled = false;
  const listener = createServer((client) => {
    const pair = { client, server: connect(to) };
    pairs.add(pair);
    for (const [socket, other] of bothWays(pair)) {
      socket.on("error", () => undefined);
      socket.once("close", () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
    if (!isStalled) forward(pair);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const cut = () => {
    for (const pair of pairs) for (const [socket] of bothWays(pair)) socket.resetAndDestroy();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    cut,
    stall() {
      isStalled = true;
      for (const pair of pairs) {
        for (const [socket, other] of bothWays(pair)) socket.unpipe(other).pause();
      }
    },
    flow() {
      if (isStalled) for (const pair of pairs) forward(pair);
      isStalled = false;
    },
    async stop() {
      cut();
      if (!listener.listening) return;
      listener.close();
      await once(listener, "close");
    },
  };
}

function bothWays({ client, server }: Pair): readonly (readonly [Socket, Socket])[] {
  return [
    [client, server],
    [server, client],
  ];
}

function forward(pair: Pair): void {
  for (const [socket, other] of bothWays(pair)) socket.pipe(other);
}
