import type { OutgoingHttpHeaders } from "node:http2";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { frame } from "./raw-requests.ts";

/** A request that is small to send, and would be large to read. */
export interface Bomb {
  readonly name: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  /** What it is refused with, where that is nothing about its size or its content. */
  readonly reason?: string;
}

/** An encoding that nobody offers is not implemented, and that is the only reason for it. */
const notOffered = "METHOD_NOT_FOUND";

const ledger = "/sovr.ledger.v1.LedgerService";
const clearing = "/sovr.clearing.v1.ClearingService";
const subscribe = "/sovr.eventstream.v1.EventStreamService/Subscribe";

const grpc = { "content-type": "application/grpc", te: "trailers" };
const web = { "content-type": "application/grpc-web+proto" };
const proto = { "content-type": "application/proto" };
const json = { "content-type": "application/json" };
const connectStream = { "content-type": "application/connect+proto" };

const zeros = Buffer.alloc(64 << 20);
const zipped = gzipSync(zeros);

/** What is compressed, in each protocol and in every way to say so. */
export function compressionBombs(): readonly Bomb[] {
  const list = `${ledger}/ListAssets`;
  const encoded = (encoding: string, body: Buffer): Bomb => ({
    name: `content-encoding ${encoding}`,
    path: list,
    headers: { ...json, "content-encoding": encoding },
    body,
    ...(encoding === "gzip" ? {} : { reason: notOffered }),
  });
  return [
    {
      name: "zeros over gRPC",
      path: list,
      headers: { ...grpc, "grpc-encoding": "gzip" },
      body: frame(zipped, 1),
    },
    {
      name: "zeros over gRPC to the method that takes most",
      path: `${clearing}/ClearBatch`,
      headers: { ...grpc, "grpc-encoding": "gzip" },
      body: frame(zipped, 1),
    },
    {
      name: "zeros over gRPC-Web",
      path: list,
      headers: { ...web, "grpc-encoding": "gzip" },
      body: frame(zipped, 1),
    },
    {
      name: "zeros over a stream of Connect",
      path: subscribe,
      headers: { ...connectStream, "connect-content-encoding": "gzip" },
      body: frame(zipped, 1),
    },
    {
      name: "zeros over Connect",
      path: list,
      headers: { ...proto, "content-encoding": "gzip" },
      body: zipped,
    },
    {
      name: "zeros to ClearBatch over Connect",
      path: `${clearing}/ClearBatch`,
      headers: { ...proto, "content-encoding": "gzip" },
      body: zipped,
    },
    encoded("gzip", zipped),
    encoded("gzip, gzip", gzipSync(zipped)),
    encoded("br", brotliCompressSync(Buffer.alloc(1 << 20))),
    encoded("deflate", deflateSync(Buffer.alloc(1 << 20))),
    encoded("zstd", zipped),
    {
      name: "a frame that says it is compressed, without saying how",
      path: list,
      headers: grpc,
      body: frame(zipped, 1),
    },
    {
      name: "gzip that is none",
      path: list,
      headers: { ...grpc, "grpc-encoding": "gzip" },
      body: frame(Buffer.from("this is no gzip"), 1),
    },
    {
      name: "gzip that ends in the middle",
      path: list,
      headers: { ...json, "content-encoding": "gzip" },
      body: zipped.subarray(0, 1_000),
    },
  ];
}

/** A tag with its length, and the content. */
function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.byteLength), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

/** Messages within messages; each is a field 1 of the one around it. */
function nested(depth: number): Buffer {
  let body: Buffer = Buffer.alloc(0);
  for (let level = 0; level < depth; level += 1) body = field(1, body);
  return body;
}

/** What is as large as a message may be, of many, deep, long or enormous things. */
export function shapeBombs(): readonly Bomb[] {
  const text = (name: string, path: string, body: string): Bomb => ({
    name: `${name}, in JSON`,
    path,
    headers: json,
    body: Buffer.from(body),
  });
  const bytes = (name: string, path: string, body: Buffer): Bomb[] => [
    { name: `${name}, over gRPC`, path, headers: grpc, body: frame(body) },
    { name: `${name}, over Connect`, path, headers: proto, body },
  ];
  const balance = `${ledger}/GetBalance`;
  const balances = `${ledger}/BatchGetBalances`;
  const assets = `${ledger}/ListAssets`;
  const clear = `${clearing}/Clear`;
  const digits = "9".repeat(900_000);
  return [
    text(
      "half a million lists in one another",
      balance,
      `${"[".repeat(500_000)}${"]".repeat(500_000)}`,
    ),
    text(
      "a hundred thousand objects in one another",
      clear,
      `${'{"intent":'.repeat(100_000)}{}${"}".repeat(100_000)}`,
    ),
    text("brackets that never close", balance, "[".repeat(1_000_000)),
    text(
      "fifty thousand keys",
      assets,
      `{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":0`)}}`,
    ),
    text("the same key fifty thousand times", balance, `{${Array(50_000).fill('"ledger":1')}}`),
    text("a key of 900 kB", assets, `{"${"k".repeat(900_000)}":1}`),
    text("an id of 900,000 digits", balance, `{"accountId":"${digits}"}`),
    text("a number of 900,000 digits", balance, `{"ledger":${digits}}`),
    text("a number with an enormous exponent", balance, '{"ledger":1e999999}'),
    text("an amount of 900,000 digits", clear, `{"intent":{"postings":[{"amount":"${digits}"}]}}`),
    text(
      "a hundred thousand account ids",
      balances,
      `{"accountIds":[${Array(100_000).fill('"1"')}]}`,
    ),
    text("escapes alone", balance, `{"accountId":"${"\\u0031".repeat(150_000)}"}`),
    text("white space alone", balance, " ".repeat(1_000_000)),
    text("a time of 900,000 letters", `${ledger}/GetTrialBalance`, `{"asOfTime":"${digits}Z"}`),
    ...bytes(
      "two hundred thousand unknown fields",
      assets,
      Buffer.from("f80700".repeat(200_000), "hex"),
    ),
    ...bytes(
      "one field two hundred thousand times",
      balance,
      Buffer.concat(Array(200_000).fill(field(1, Buffer.from("1")))),
    ),
    ...bytes(
      "a hundred thousand account ids",
      balances,
      Buffer.concat(Array(100_000).fill(field(1, Buffer.from("1")))),
    ),
    ...bytes(
      "a hundred thousand empty postings",
      clear,
      field(1, Buffer.concat(Array(100_000).fill(field(6, Buffer.alloc(0))))),
    ),
    ...bytes("three thousand messages in one another", clear, nested(3_000)),
    ...bytes("groups that never end", assets, Buffer.alloc(500_000, 0x0b)),
    ...bytes(
      "a number of a hundred thousand bytes",
      balance,
      Buffer.concat([Buffer.from([0x10]), Buffer.alloc(100_000, 0xff)]),
    ),
    ...bytes("a text that claims four gigabytes", balance, Buffer.from("0affffffff0f", "hex")),
    ...bytes("an id of 900,000 digits", balance, field(1, Buffer.from(digits))),
    {
      name: "a frame that claims four gigabytes, over gRPC",
      path: assets,
      headers: grpc,
      body: Buffer.from("00ffffffff", "hex"),
    },
    {
      name: "ten thousand frames where one belongs, over gRPC",
      path: assets,
      headers: grpc,
      body: Buffer.concat(Array(10_000).fill(frame(Buffer.alloc(0)))),
    },
    {
      name: "ten thousand frames where one belongs, over gRPC-Web",
      path: assets,
      headers: web,
      body: Buffer.concat(Array(10_000).fill(frame(Buffer.alloc(0)))),
    },
  ];
}
