// Goal: through a whole mesh whose every part dies or stops in its tracks, and over a network that fails, subscribers
// over every protocol have exactly what happened. Method: a mesh of its own under clearings; followers of the client
// library, behind a proxy before Envoy, that crash and resume from the cursors they kept; a seeded order of faults;
// every stream recorded, validated, and held against a full scan. FAULT_SEED repeats a run, FAULT_SECONDS makes it longer.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { Client } from "tigerbeetle-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventStreamClient } from "#common/events-client/follow-events.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createRpcClient, type RpcClient } from "#common/rpc/client.ts";
import { clusterTime } from "#common/tigerbeetle/cluster-time.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { EventType } from "#gen/sovr/eventstream/v1/event_pb.ts";
import { EventStreamService } from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { usd } from "../../cli/client/intents.ts";
import type { Wallet } from "../../cli/client/wallets.ts";
import { developmentBatchMax } from "../../cli/parts/tigerbeetle.ts";
import { clearRandomly, openFunded } from "../support/clearing/load.ts";
import { type EventFollower, followRestlessly } from "../support/eventstream/follower.ts";
import { scanEvents, type TrueEvent } from "../support/eventstream/truth.ts";
import { validateStreams } from "../support/eventstream/validators.ts";
import { createRandom } from "../support/intents/random-history.ts";
import { describeOnEngines, type TestEngine } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { signalPostgres } from "../support/postgres/postgres.ts";
import { startTcpProxy, type TcpProxy } from "../support/rpc/tcp-proxy.ts";

const { FAULT_SEED, FAULT_SECONDS } = process.env;
const randomSeed = Number(FAULT_SEED ?? 20_261_124);
const seconds = Number(FAULT_SECONDS ?? 12);
/** How long everything may take to be well again after the last fault. */
const recoveryMs = 60_000;

describeOnEngines(`a mesh among faults (FAULT_SEED=${randomSeed})`, (engine) => {
  let mesh: TestMesh;
  let proxy: TcpProxy;
  let ledger: Client;
  let clients: RpcClient<typeof EventStreamService>[] = [];

  beforeAll(async () => {
    mesh = await startMesh({ engine: engine.name });
    proxy = await startTcpProxy(mesh.address);
    ledger = await openLedger(mesh, engine);
  });

  afterAll(async () => {
    for (const client of clients) client[Symbol.dispose]();
    ledger?.destroy();
    await proxy?.stop();
    await mesh?.stop();
  });

  /** One over each protocol, and one more who wants a wallet's events alone. */
  function follow(wallet: Wallet): { all: EventFollower[]; one: EventFollower } {
    clients = [grpcClient(mesh, proxy), grpcClient(mesh, proxy)];
    const begin = (client: EventStreamClient, index: number, filter = {}) =>
      followRestlessly({
        client,
        random: createRandom(randomSeed + index),
        crashMsMax: 6_000,
        filter,
      });
    const [first, second] = clients;
    if (first === undefined || second === undefined) throw new Error("two were opened");
    const all = [first, webClient(mesh, proxy, createConnectTransport)]
      .concat(webClient(mesh, proxy, createGrpcWebTransport))
      .map((client: EventStreamClient, index) => begin(client, index + 1));
    return { all, one: begin(second, 9, { wallets: [wallet.address] }) };
  }

  test(
    "followers have exactly what happened",
    async () => {
      const random = createRandom(randomSeed);
      let isOver = false;
      const wallets = [mesh.wallet(), mesh.wallet(), mesh.wallet()] as const;
      const client = {
        identity: mesh.identity,
        edgeUrl: `http://${mesh.address}`,
        transport: createConnectTransport({ ...webOptions(mesh, mesh.address), ...bounded }),
      };
      for (const wallet of wallets) await openFunded(client, wallet);
      const { all, one } = follow(wallets[0]);
      const working = wallets.map((wallet, index) =>
        clearRandomly({
          mesh: client,
          wallet,
          random: createRandom(randomSeed + 20 + index),
          isOver: () => isOver,
          pauseMsMax: 30,
        }),
      );
      const endMs = Date.now() + seconds * 1_000;
      const faults = await breakThings({ mesh, proxy, random, isOver: () => Date.now() > endMs });
      // On a slow machine little was cleared meanwhile; a history of everything takes as long as it takes.
      const [witness] = all;
      if (witness === undefined) throw new Error("someone follows");
      await expect
        .poll(() => typesTold(witness), { timeout: recoveryMs, interval: 250 })
        .toEqual(expect.arrayContaining(everyType));
      isOver = true;
      const cleared = (await Promise.all(working)).reduce((sum, count) => sum + count, 0);
      // Once the ledger has answered another clearing, none that was given up is still on its way to it.
      await expect
        .poll(() => openFunded(client, wallets[0]).then(() => true), { timeout: recoveryMs })
        .toBe(true);
      // The longest reservation takes two seconds to run out.
      await sleep(2_500);
      const truth = await scan(ledger, mesh, engine);
      const own = truth.filter((event) => concerns(event, wallets[0]));
      for (const follower of [...all, one]) follower.calm();
      for (const follower of [...all, one]) {
        const matching = follower === one ? own : truth;
        await untilSeen(follower, matching.at(-1)?.eventId ?? "");
        await follower.stop();
        const clusterId = BigInt(mesh.identity.clusterId);
        validateStreams(follower.streams, { clusterId, truth, matching });
        expect(follower.seen.size).toBe(matching.length);
      }
      expect(all.some(({ crashes }) => crashes > 0)).toBe(true);
      console.log(
        `${engine.name}: ${cleared} cleared, ${truth.length} events; ${faults.join(", ")}`,
      );
    },
    5 * recoveryMs + seconds * 1_000,
  );
});

const everyType = [
  EventType.CLEARED,
  EventType.PENDED,
  EventType.POSTED,
  EventType.VOIDED,
  EventType.EXPIRED,
];

function typesTold({ streams }: EventFollower): EventType[] {
  const types = streams.flatMap(({ messages }) =>
    messages.flatMap(({ message }) => (message.case === "event" ? [message.value.type] : [])),
  );
  return [...new Set(types)];
}

/** Calls of those who clear do not wait for what is stopped. */
const bounded = { defaultTimeoutMs: 5_000 };

function webOptions(mesh: TestMesh, address: string) {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await mesh.token()}`);
    return next(request);
  };
  return {
    baseUrl: `http://${address}`,
    httpVersion: "1.1" as const,
    interceptors: [authorize],
  };
}

function webClient(
  mesh: TestMesh,
  { port }: TcpProxy,
  createTransport: typeof createConnectTransport | typeof createGrpcWebTransport,
): EventStreamClient {
  return createClient(EventStreamService, createTransport(webOptions(mesh, `127.0.0.1:${port}`)));
}

function grpcClient(mesh: TestMesh, { port }: TcpProxy): RpcClient<typeof EventStreamService> {
  const address = `127.0.0.1:${port}`;
  return createRpcClient(EventStreamService, {
    address,
    defaultTimeoutMs: 5_000,
    token: () => mesh.token(),
  });
}

function openLedger(mesh: TestMesh, engine: TestEngine): Promise<Client> {
  const { settings, identity } = mesh;
  const address = `${settings.host}:${settings.ports.tigerbeetle}`;
  return openClient({
    clusterId: BigInt(identity.clusterId),
    batchMax: batchMaxOf(engine),
    engine:
      engine.name === "embedded"
        ? { kind: "embedded", path: join(settings.state, "ledger.db") }
        : { kind: "tigerbeetle", addresses: [address] },
  });
}

function batchMaxOf({ name }: TestEngine): number {
  return name === "embedded" ? 8_189 : developmentBatchMax;
}

async function scan(ledger: Client, mesh: TestMesh, engine: TestEngine): Promise<TrueEvent[]> {
  return scanEvents(ledger, {
    clusterId: BigInt(mesh.identity.clusterId),
    through: await clusterTime(ledger),
    batchMax: batchMaxOf(engine),
  });
}

function concerns({ transfers, accountId }: TrueEvent, { address }: Wallet): boolean {
  const id = walletAccountId(address, usd);
  const touches = transfers.some(
    ({ debit_account_id, credit_account_id }) =>
      debit_account_id === id || credit_account_id === id,
  );
  return touches || accountId === id;
}

interface FaultOptions {
  readonly mesh: TestMesh;
  readonly proxy: TcpProxy;
  readonly random: () => number;
  readonly isOver: () => boolean;
}

type Fault = readonly [string, () => Promise<void>];

/** Every fault once in a random order, then as it comes, until it is over. Resolves with what was done. */
async function breakThings(options: FaultOptions): Promise<string[]> {
  const { random, isOver } = options;
  const faults = shuffle(faultsOf(options), random);
  const done: string[] = [];
  while (!isOver() || done.length < faults.length) {
    const next = faults[done.length] ?? faults[Math.floor(random() * faults.length)];
    if (next === undefined) break;
    await next[1]();
    done.push(next[0]);
    await sleep(200 + 600 * random());
  }
  return done;
}

function faultsOf({ mesh, proxy, random }: FaultOptions): Fault[] {
  const killed = ["eventstream", "clearing", "envoy", "postgres"];
  const paused = ["eventstream", "clearing", "envoy"];
  const isReal = mesh.identity.engine === "tigerbeetle";
  const engine = isReal ? ["tigerbeetle"] : [];
  const pause = async (name: string) => {
    const { pid } = mesh.part(name);
    if (!signal(pid, "SIGSTOP")) return;
    await sleep(200 + 1_000 * random());
    signal(pid, "SIGCONT");
  };
  return [
    ...[...killed, ...engine].map(
      (name): Fault => [`kill ${name}`, async () => void signal(mesh.part(name).pid, "SIGKILL")],
    ),
    ...[...paused, ...engine].map((name): Fault => [`pause ${name}`, () => pause(name)]),
    ["pause postgres", () => pausePostgres(mesh.part("postgres").pid, random)],
    ["cut connections", async () => proxy.cut()],
    [
      "stall the network",
      async () => {
        proxy.stall();
        // Some notice that the stream is silent, after three heartbeats; some do not.
        await sleep(2_000 + 2_000 * random());
        proxy.flow();
      },
    ],
  ];
}

async function pausePostgres(postmaster: number, random: () => number): Promise<void> {
  if (!signal(postmaster, "SIGSTOP")) return;
  await signalPostgres(postmaster, "SIGSTOP");
  await sleep(200 + 1_000 * random());
  await signalPostgres(postmaster, "SIGCONT");
}

/** False: the part is dead already, and the supervisor about to start it. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const keys = new Map(items.map((item) => [item, random()]));
  return items.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
}

async function untilSeen(follower: EventFollower, eventId: string): Promise<void> {
  const deadlineMs = Date.now() + recoveryMs;
  while (!follower.seen.has(eventId)) {
    if (follower.error !== undefined) throw follower.error;
    if (Date.now() > deadlineMs) throw new Error(`the follower never saw ${eventId}`);
    await sleep(50);
  }
}
