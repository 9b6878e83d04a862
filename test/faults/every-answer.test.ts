// Goal: whatever fails, every answer has one reason, and it is true. Method: one mesh, whose parts are killed, stopped in their
// tracks, cut off and slowed down; every RPC of the contracts, unary or stream, is called through Envoy in every protocol.
// What an answer may say is the contract's; what it said of a write is held against the ledger when all is well again.
// FAULT_WALK=full calls every RPC in every protocol under every fault, FAULT_SEED chooses the sample otherwise.
import { setTimeout as sleep } from "node:timers/promises";
import { type DescMethod, isMessage, type Message } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { contracts } from "#common/contracts.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import type { Status } from "#gen/google/rpc/status_pb.ts";
import {
  ClearBatchRequestSchema,
  ClearBatchResponseSchema,
  type ClearRequest,
  ClearRequestSchema,
  type OpenWalletRequest,
  OpenWalletRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { requireMesh } from "../../cli/state/state.ts";
import { createRandom } from "../support/intents/random-history.ts";
import { hasTigerBeetle } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { faultOf, reasonIn } from "../support/walk/judge.ts";
import {
  type Caller,
  type Clock,
  type Ending,
  openCaller,
  type ProtocolName,
  protocolNames,
} from "../support/walk/protocols.ts";
import { makeRequests, nameOf, type Requests } from "../support/walk/requests.ts";

// A mesh whose parts were all dead may take a minute to come back on a busy machine.
vi.setConfig({ testTimeout: 400_000 });

const isFull = process.env["FAULT_WALK"] === "full";
const seed = Number(process.env["FAULT_SEED"] ?? 20_261_201);
const random = createRandom(seed);
/** How many cells a sample has. */
const sampleSize = 40;
/** More calls of Clear and ClearBatch than there are under one fault. */
const intentsMax = 200;
/** The deadline of a call that may be let down, and of one that is to be answered at once, in milliseconds. */
const shortMs = 1_500;
const longMs = 30_000;

interface Cell {
  readonly protocol: ProtocolName;
  readonly method: DescMethod;
}
interface Seen extends Cell {
  readonly request: Message;
  readonly ending: Ending;
}

const methods = contracts.flatMap((service) => service.methods);
const allCells: readonly Cell[] = protocolNames.flatMap((protocol) =>
  methods.map((method) => ({ protocol, method })),
);
const cellsOf = (...names: readonly ServiceName[]) =>
  allCells.filter(({ method }) => names.includes(serviceOf(method)));

function serviceOf(method: DescMethod): ServiceName {
  const name = method.parent.typeName.split(".")[1];
  const found = serviceNames.find((candidate) => candidate === name);
  if (found === undefined) throw new Error(`no service is called ${name}`);
  return found;
}

function sample(cells: readonly Cell[]): readonly Cell[] {
  if (isFull || cells.length <= sampleSize) return cells;
  const ranked = cells.map((cell) => ({ cell, rank: random() }));
  ranked.sort((a, b) => a.rank - b.rank);
  return ranked.slice(0, sampleSize).map(({ cell }) => cell);
}

/** What an answer may say of a fault. */
const ofFaults: ReadonlySet<string> = new Set([
  "EDGE_UNAVAILABLE",
  "EDGE_TIMEOUT",
  "NOT_SENT",
  "OUTCOME_UNKNOWN",
  "LEDGER_UNAVAILABLE",
  "RECORDS_UNAVAILABLE",
  "DRAINING",
]);
/** What says of a write that it has not happened. */
const notHappened: ReadonlySet<string> = new Set([
  "NOT_SENT",
  "LEDGER_UNAVAILABLE",
  "RECORDS_UNAVAILABLE",
]);

/** What was said of a write, and what tells whether it was true. */
interface Write {
  readonly said: string;
  readonly cell: string;
  readonly request: ClearRequest | OpenWalletRequest;
}

let mesh: TestMesh;
let requests: Requests;
const callers = new Map<ProtocolName, Caller>();
/** By method: what it says while nothing fails, OK or the reason of a refusal. */
const usual = new Map<string, string>();
const writes: Write[] = [];

beforeAll(async () => {
  mesh = await startMesh({
    engine: hasTigerBeetle ? "tigerbeetle" : "embedded",
    environment: { LEDGER_SILENCE_MS: "2000", INTENTS_PER_WALLET_AND_MINUTE: "1000000" },
  });
  requests = await makeRequests(mesh);
  const token = await mesh.token();
  for (const name of protocolNames)
    callers.set(name, openCaller(name, `http://${mesh.address}`, token));
});
afterAll(() => mesh?.stop());

/** What an answer says that the caller's own library made. */
const ownClock = "DeadlineExceeded";

/** What is undone when a test ends, however it ends. */
const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

function callerOf(protocol: ProtocolName): Caller {
  const caller = callers.get(protocol);
  if (caller === undefined) throw new Error(`${protocol} is not open`);
  return caller;
}

/** Calls all cells at once. `clock`: who answers when the time is over. */
function walk(
  cells: readonly Cell[],
  timeoutMs: number,
  clock: Clock = "service",
): Promise<Seen[]> {
  return Promise.all(
    cells.map(async (cell) => {
      const request = requests.of(cell.method);
      const ending = await callerOf(cell.protocol).call(cell.method, request, timeoutMs, clock);
      const seen = { ...cell, request, ending };
      noteWrites(seen);
      return seen;
    }),
  );
}

const cellName = ({ protocol, method }: Cell) => `${nameOf(method)} in ${protocol}`;

function saidBy(ending: Ending): string {
  return "error" in ending ? reasonIn(ending.error) : "OK";
}

/** The error of an intent of a batch, as if it were a call's. */
function errorOf(status: Status): ConnectError {
  const error = new ConnectError(status.message, status.code);
  error.details = status.details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return error;
}

/** The errors of an answer: of the call, or of the intents of a batch. */
function errorsOf({ ending }: Seen): ConnectError[] {
  if ("error" in ending) return [ending.error];
  if (!isMessage(ending.message, ClearBatchResponseSchema)) return [];
  return ending.message.results.flatMap(({ outcome }) =>
    outcome.case === "error" ? [errorOf(outcome.value)] : [],
  );
}

function noteWrites(seen: Seen): void {
  const { request, ending } = seen;
  const [error] = errorsOf(seen);
  const said = error === undefined ? saidBy(ending) : reasonIn(error);
  const cell = cellName(seen);
  if (isMessage(request, ClearRequestSchema)) writes.push({ said, cell, request });
  if (isMessage(request, OpenWalletRequestSchema)) writes.push({ said, cell, request });
  if (isMessage(request, ClearBatchRequestSchema)) {
    for (const each of request.requests) writes.push({ said, cell, request: each });
  }
}

/** What is wrong with answers. `allowed`: the reasons of this fault. */
function problemsOf(answers: readonly Seen[], allowed: ReadonlySet<string>): string[] {
  return answers.flatMap((seen) =>
    errorsOf(seen).flatMap((error) => {
      const reason = reasonIn(error);
      const isUsual = usual.get(nameOf(seen.method)) === reason;
      const fault =
        faultOf(error) ?? (isUsual || allowed.has(reason) ? undefined : `${reason}: ${error}`);
      return fault === undefined ? [] : [`${cellName(seen)}: ${fault}`];
    }),
  );
}

function supervise(signal: "SIGSTOP" | "SIGCONT"): void {
  process.kill(requireMesh(mesh.settings).state.supervisor.pid, signal);
}

/** From here on nothing that dies is started again, until the test ends. */
function leaveDead(): void {
  undo.push(() => supervise("SIGCONT"));
  supervise("SIGSTOP");
}

/** Stops a part in its tracks until what it returns is called. */
function pause(name: string): () => void {
  mesh.kill(name, "SIGSTOP");
  const resume = () => mesh.kill(name, "SIGCONT");
  undo.push(resume);
  return () => {
    undo.splice(undo.indexOf(resume), 1);
    resume();
  };
}

/** Waits until everything answers as usual again. One call of each service, with all that it needs. */
async function recover(): Promise<void> {
  for (const step of undo.splice(0).reverse()) step();
  const signs = ["Attest", "OpenWallet", "GetClearing", "GetBalance", "ListEvents", "GetCheckout"];
  const cells = allCells.filter(
    ({ protocol, method }) => protocol === "gRPC" && signs.includes(method.name),
  );
  await expect
    .poll(async () => (await walk(cells, longMs)).map(({ ending }) => saidBy(ending)), {
      timeout: 100_000,
    })
    .toEqual(cells.map(({ method }) => usual.get(nameOf(method))));
}

/** Holds what was said of writes against the ledger; then each is sent once more, and clears if it had not. */
async function expectTruth(): Promise<void> {
  const lies = await Promise.all(
    writes.splice(0).map(async ({ said, cell, request }) => {
      const isThere = await requests.isThere(request);
      if (isMessage(request, ClearRequestSchema)) await requests.clear(request);
      const isTrue = said === "OK" ? isThere : !(isThere && notHappened.has(said));
      return isTrue ? [] : [`${cell}: ${said}, and it is ${isThere ? "" : "not "}there`];
    }),
  );
  expect(lies.flat()).toEqual([]);
}

/** Calls cells while something fails, and judges the answers when all is well again. */
async function judge(
  fail: (
    collect: (answers: readonly Seen[], allowed?: ReadonlySet<string>) => void,
  ) => Promise<void>,
): Promise<void> {
  await requests.prepare(intentsMax);
  const problems: string[] = [];
  await fail((answers, allowed = ofFaults) => problems.push(...problemsOf(answers, allowed)));
  await recover();
  expect(problems).toEqual([]);
  await expectTruth();
}

it("while nothing fails, each is answered", async () => {
  let cells = allCells;
  // What a slow machine lets down is called again, for as long as that may take.
  for (const untilMs = Date.now() + 120_000; ; ) {
    await requests.prepare(intentsMax);
    const answers = await walk(cells, 60_000);
    for (const seen of answers) {
      const said = saidBy(seen.ending);
      if (ofFaults.has(said)) continue;
      const name = nameOf(seen.method);
      usual.set(name, usual.get(name) ?? said);
      expect(usual.get(name), cellName(seen)).toBe(said);
      for (const error of errorsOf(seen)) expect(faultOf(error), cellName(seen)).toBeUndefined();
    }
    cells = answers.filter(({ ending }) => ofFaults.has(saidBy(ending)));
    if (cells.length === 0) break;
    expect(Date.now(), cells.map(cellName).join()).toBeLessThan(untilMs);
  }
  await expectTruth();
});

it("while services are dead, one after the other", () =>
  judge(async (collect) => {
    leaveDead();
    const gone = new Set(["EDGE_UNAVAILABLE"]);
    for (const name of ["attestor", "clearing", "ledger", "eventstream", "checkout"] as const) {
      const streams = cellsOf(name)
        .filter(({ method }) => method.methodKind === "server_streaming")
        .map((cell) => ({
          ...cell,
          held: callerOf(cell.protocol).hold(cell.method, requests.of(cell.method)),
        }));
      await Promise.all(streams.map(({ held }) => held.opened));
      mesh.kill(name);
      const cut = streams.map(async ({ held, ...cell }) => ({
        ...cell,
        request: requests.of(cell.method),
        ending: { error: await held.ended },
      }));
      collect(await Promise.all(cut), gone);
      collect(await walk(cellsOf(name), longMs), gone);
      // Whoever needs it says what that means.
      if (name !== "checkout") collect(await walk(cellsOf("checkout"), shortMs));
    }
  }));

it("while services stand still", () =>
  judge(async (collect) => {
    for (const name of serviceNames) pause(name);
    // The edge leaves deadlines to the services, and gives one that says nothing a minute, and three for a stream. Until then
    // a caller has his own clock, and no reason.
    const answers = await walk(sample(allCells), shortMs, isFull ? "edge" : "caller");
    collect(answers.filter(({ ending }) => isFull || saidBy(ending) !== ownClock));
  }));

it("while calls are cut off in the middle", () =>
  judge(async (collect) => {
    for (const name of serviceNames) {
      pause(name);
      const answers = walk(sample(cellsOf(name)), longMs);
      // Most have come as far as the service then; what has not meets the next process.
      await sleep(300);
      undo.pop();
      mesh.kill(name);
      collect(await answers);
    }
  }));

it("while services are slow", () =>
  judge(async (collect) => {
    let isOver = false;
    const stutter = (async () => {
      while (!isOver) {
        const resumes = serviceNames.map(pause);
        await sleep(300);
        for (const resume of resumes) resume();
        await sleep(100);
      }
    })();
    const answers = await walk(sample(allCells), shortMs);
    isOver = true;
    await stutter;
    collect(answers);
  }));

it("while the database is away", () =>
  judge(async (collect) => {
    leaveDead();
    mesh.kill("postgres");
    collect(await walk(sample(allCells), shortMs));
    collect(await walk(sample(allCells), longMs));
  }));

it.skipIf(!hasTigerBeetle)("while the ledger is away (skipped without TigerBeetle)", () =>
  judge(async (collect) => {
    pause("tigerbeetle");
    collect(await walk(sample(allCells), shortMs));
    // Until each service has noticed.
    const signs = allCells.filter(
      ({ protocol, method }) =>
        protocol === "gRPC" && ["GetClearing", "GetBalance", "ListEvents"].includes(method.name),
    );
    await expect
      .poll(async () => (await walk(signs, shortMs)).map(({ ending }) => saidBy(ending)), {
        timeout: 60_000,
      })
      .toEqual(signs.map(() => "LEDGER_UNAVAILABLE"));
    collect(await walk(allCells, longMs), new Set(["LEDGER_UNAVAILABLE"]));
  }),
);
