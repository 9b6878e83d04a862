// Goal: one port speaks HTTP/1.1 and HTTP/2, closes gently and cuts. Method: real sockets on the loopback address.
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createWebServer, type WebServer } from "./web-server.ts";

let web: WebServer;
let port: number;
/** Answers that wait, by their path. */
let waiting: Map<string, () => void>;

beforeEach(async () => {
  waiting = new Map();
  web = createWebServer({ http1: {}, http2: {}, firstByteMs: 60_000 }, (request, response) => {
    const answer = () => response.end(`${request.httpVersion} ${request.url}`);
    if (request.url === "/now") answer();
    else waiting.set(request.url ?? "", answer);
  });
  web.server.listen(0, "127.0.0.1");
  await once(web.server, "listening");
  port = (web.server.address() as AddressInfo).port;
});
afterEach(async () => {
  const closed = once(web.server, "close");
  web.server.close();
  web.cut();
  await closed;
});

const session = () => connectHttp2(`http://127.0.0.1:${port}`).on("error", () => undefined);
const ask = (from: ClientHttp2Session, path: string) => text(from.request({ ":path": path }));

test("each connection speaks what it likes", async () => {
  const http2 = session();
  const answers = [
    fetch(`http://127.0.0.1:${port}/now`).then((it) => it.text()),
    ask(http2, "/now"),
  ];
  expect(await Promise.all(answers)).toEqual(["1.1 /now", "2.0 /now"]);
  // Again on the same connections.
  expect(await ask(http2, "/now")).toBe("2.0 /now");
  http2.close();
});

test.each([
  ["HTTP/1.1", "GET /now HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", /^HTTP\/1\.1 200/],
  [
    "a method that begins alike",
    "PROPFIND /now HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    /^HTTP\/1\.1 200/,
  ],
])("bytes that come one by one are read alike: %s", async (_, request, expected) => {
  const socket = connectTcp(port, "127.0.0.1").setNoDelay();
  const answer = text(socket);
  await once(socket, "connect");
  for (const byte of request) {
    await new Promise((resolve) => socket.write(byte, resolve));
    await new Promise(setImmediate);
  }
  expect(await answer).toMatch(expected);
});

test("a session finishes what it has, and then the server is closed", async () => {
  const http2 = session();
  const answer = ask(http2, "/later");
  await expect.poll(() => waiting.has("/later")).toBe(true);
  const closed = once(web.server, "close");
  web.server.close();
  web.endSessions();
  waiting.get("/later")?.();
  expect(await answer).toBe("2.0 /later");
  await closed;
  // For the hook that closes it once more.
  web.server.listen(0, "127.0.0.1");
  await once(web.server, "listening");
});

test("cuts connections of either kind, and those that have said nothing", async () => {
  const silent = connectTcp(port, "127.0.0.1");
  await once(silent, "connect");
  const answers = [
    fetch(`http://127.0.0.1:${port}/one`).then((it) => it.text()),
    ask(session(), "/two"),
  ];
  const ended = Promise.allSettled(answers);
  await expect.poll(() => waiting.size).toBe(2);
  const gone = once(silent, "close");
  web.cut();
  // A stream of HTTP/2 ends without an error, and without an answer.
  for (const answer of await ended)
    expect(answer).not.toMatchObject({ value: expect.stringMatching(/./) });
  await gone;
});
