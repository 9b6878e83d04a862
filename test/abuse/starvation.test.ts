// Goal: whatever one caller does, another is served as before: every call of his succeeds, and the slow ones take at most
// twice as long (STARVATION_FLOOR_MS=25 on a quiet machine). Method: one mesh; a victim who reads in gRPC, JSON and a stream, by turns alone and beside an attacker on a
// thread of its own. Windows are short and come in pairs; the better quarter of each kind counts, for chance only makes
// slower, and while the attacked ones look slow there are more of them.
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { startAttack } from "../support/abuse/attack.ts";
import { type AttackName, attacks } from "../support/abuse/attacks.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const callsOfWindow = 25;
const windowsMin = 3;
const windowsMax = 20;
const slowerMax = 2;
/**
 * Below so many milliseconds more a rise is none. Who starves waits for seconds, or is refused; attacker, victim and mesh share
 * the cores here, so less than a second is the machine's unless STARVATION_FLOOR_MS says that it is a quiet one.
 */
const floorMs = Number(process.env["STARVATION_FLOOR_MS"] ?? 1_000);

let mesh: TestMesh;
let attackerToken: string;
let victims: readonly (() => Promise<unknown>)[];

beforeAll(async () => {
  mesh = await startMesh();
  attackerToken = await mesh.token({ subject: "mallory" });
  victims = victimsOf(`http://${mesh.address}`, await mesh.token({ subject: "victor" }));
  // Until the services know their tokens and have compiled their code.
  for (let count = 0; count < 4; count += 1) await tailOfWindow();
});
afterAll(() => mesh?.stop());

function victimsOf(baseUrl: string, token: string) {
  const headers = { authorization: `Bearer ${token}` };
  // No deadline of his own: he waits, and how long is what is measured.
  const grpc = createGrpcTransport({ baseUrl });
  const json = createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
  const read = (transport: typeof grpc) =>
    createClient(LedgerService, transport).getBalance({ accountId: "1000002" }, { headers });
  const events = createClient(EventStreamService, grpc);
  return [
    () => read(grpc),
    () => read(json),
    async () => {
      // To leave the loop is not enough: the client would go on listening.
      const left = new AbortController();
      const stream = events.subscribe({}, { headers, signal: left.signal });
      const { value } = await stream[Symbol.asyncIterator]().next();
      expect(value?.message.case).toBe("opened");
      left.abort();
    },
  ];
}

const betterOf = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? 0;

/** Of the calls of a window, how long the slowest but one took, in milliseconds. */
async function tailOfWindow(): Promise<number> {
  const tookMs: number[] = [];
  for (let index = 0; index < callsOfWindow; index += 1) {
    const startMs = performance.now();
    await victims[index % victims.length]?.();
    tookMs.push(performance.now() - startMs);
  }
  return tookMs.toSorted((a, b) => b - a)[1] ?? 0;
}

const names = Object.keys(attacks) as AttackName[];

describe("beside", () => {
  it.each(names)("%s, everybody else is served as before", async (name) => {
    const alone: number[] = [];
    const beside: number[] = [];
    const isFine = () =>
      betterOf(beside) <= Math.max(slowerMax * betterOf(alone), betterOf(alone) + floorMs);
    for (let count = 0; count < windowsMin || (count < windowsMax && !isFine()); count += 1) {
      alone.push(await tailOfWindow());
      const attack = await startAttack({ name, address: mesh.address, token: attackerToken });
      beside.push(await tailOfWindow());
      const answers = await attack.stop();
      // The attack was one.
      expect(name === "hundreds of requests that trickle" || hasAnswers(answers, name)).toBe(true);
    }
    expect(isFine(), `alone ${alone.map(Math.round)}, beside ${beside.map(Math.round)}`).toBe(true);
  });
});

/** True if what an attack got back shows that it was none in vain. */
function hasAnswers(answers: Readonly<Record<string, number>>, name: AttackName): boolean {
  const isReset = name === "streams that are reset as soon as they are there";
  return isReset || Object.keys(answers).length > 0;
}

/** Megabytes that a part has held at most since it runs. */
function peakMegabytes(part: string): number {
  const status = readFileSync(`/proc/${mesh.part(part).pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

const batchBytes = 15_700_000;
/** STARVATION_BATCHES says otherwise; 120 of them once killed a process of 1 GiB. */
const batches = Number(process.env["STARVATION_BATCHES"] ?? 40);

/** One ClearBatch in JSON, as large as may be; the status it is answered with, or 0 where the connection ends first. */
function clearBatch(body: Buffer): Promise<number> {
  const [host, port] = mesh.address.split(":");
  return new Promise((resolve) => {
    const call = request(
      {
        host,
        port,
        method: "POST",
        path: "/sovr.clearing.v1.ClearingService/ClearBatch",
        agent: false,
        headers: {
          authorization: `Bearer ${attackerToken}`,
          "content-type": "application/json",
          "content-length": String(body.byteLength),
        },
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        call.destroy();
      },
    );
    call.on("error", () => resolve(0));
    call.end(body);
  });
}

it.skipIf(process.platform !== "linux")(
  `${batches} batches of ${batchBytes / 1e6} MB in JSON at once are answered, and Clearing holds no more than 700 MB`,
  async () => {
    const intent = { intentId: "0198c0de-0000-7000-8000-000000000001", reference: "r".repeat(128) };
    const one = JSON.stringify({
      intent: { ...intent, merchantId: "m".repeat(128) },
      attestation: {},
    });
    const count = Math.min(8_189, Math.floor(batchBytes / (one.length + 1)));
    const padding = " ".repeat(batchBytes - count * (one.length + 1) - 20);
    const body = Buffer.from(`{"requests":${padding}[${Array(count).fill(one).join()}]}`);
    const { pid } = mesh.part("clearing");
    const statuses = await Promise.all(Array.from({ length: batches }, () => clearBatch(body)));
    // Each intent refused, nonsense, too many bytes, and what a busy machine did not get to in time.
    expect(
      [...new Set(statuses)].filter((status) => ![200, 400, 429, 504].includes(status)),
    ).toEqual([]);
    expect(statuses).toContain(429);
    expect(mesh.part("clearing").pid).toBe(pid);
    expect(peakMegabytes("clearing")).toBeLessThan(700);
    // And a single one is read as ever.
    await expect.poll(() => clearBatch(body)).not.toBe(429);
  },
);
