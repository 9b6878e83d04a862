// Goal: who listens leaves, whatever the server does. Method: a server that says just enough to be listened to, and then stands
// still: it neither answers a goodbye nor ends its side of the connection.
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listen } from "./listen.ts";

const message = (type: string, body: Buffer) => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.byteLength + 4, 1);
  return Buffer.concat([head, body]);
};
/** AuthenticationOk, CommandComplete, ReadyForQuery. */
const welcome = message("R", Buffer.alloc(4));
const listening = message("C", Buffer.from("LISTEN\0"));
const ready = message("Z", Buffer.from("I"));

const sockets = new Set<Socket>();
const server = createServer({ allowHalfOpen: true }, (socket) => {
  sockets.add(socket.on("error", () => undefined));
  socket.once("data", () => {
    socket.write(Buffer.concat([welcome, ready]));
    socket.once("data", () => socket.write(Buffer.concat([listening, ready])));
  });
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

test("leaves a server that stands still", async () => {
  const { port } = server.address() as AddressInfo;
  const lost: unknown[] = [];
  const connected = Promise.withResolvers<void>();
  const listener = listen({
    databaseUrl: `postgres://sovr@127.0.0.1:${port}/sovr`,
    channel: "test",
    applicationName: "test",
    onNotification: () => undefined,
    onConnected: connected.resolve,
    onLost: (error) => lost.push(error),
  });
  await connected.promise;
  await listener.close();
  // It is told to nobody: it was meant.
  expect(lost).toEqual([]);
});
