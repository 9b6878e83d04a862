// Goal: a service whose session the cluster evicted goes on by itself, whatever it had under way, and one that stops
// gets the answers it still waits for. Method: a crowd of clients takes all sessions that a cluster has, so that the one
// that was silent longest loses its own; a process destroys its client while that is busy.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import {
  hasTigerBeetle,
  startTigerBeetle,
  type TestTigerBeetle,
} from "../support/ledger/tigerbeetle.ts";

/** As many as a cluster has; a session outlives its client. */
const sessions = 64;
/** Clients of the crowd that live at the same time: each has a thread and buffers of its own. */
const crowdAtOnce = 8;
/** What a developer's replica serves at once. */
const clientsMax = 16;
const reason = hasTigerBeetle ? "" : " (skipped: the program `tigerbeetle` is not on PATH)";

describe.skipIf(!hasTigerBeetle)(`a client of TigerBeetle${reason}`, () => {
  let server: TestTigerBeetle;

  beforeAll(async () => {
    server = await startTigerBeetle();
  });
  afterAll(() => server?.stop());

  const takeAllSessions = async () => {
    for (let taken = 0; taken < sessions; taken += crowdAtOnce) {
      await Promise.all(Array.from({ length: crowdAtOnce }, takeSession));
    }
  };
  const takeSession = async () => {
    const client = createClient({ cluster_id: 0n, replica_addresses: [server.address] });
    await client.lookupAccounts([1n]);
    client.destroy();
  };

  it("answers all that was asked at once when the cluster evicts it, time and again", async () => {
    const client = await openClient({
      clusterId: 0n,
      batchMax: 253,
      engine: { kind: "tigerbeetle", addresses: [server.address] },
    });
    expect(await client.lookupAccounts([1n])).toEqual([]);
    for (let times = 0; times < 2; times += 1) {
      await takeAllSessions();
      const asked = [1n, 2n, 3n].map((id) => client.lookupAccounts([id]));
      expect(await Promise.all(asked)).toEqual([[], [], []]);
    }
    client.destroy();
    await expect(client.lookupAccounts([1n])).rejects.toMatchObject({ code: "ERR_CLIENT_CLOSED" });
  });

  it("has company: the services, and as many commands again", async () => {
    const open = () => createClient({ cluster_id: 0n, replica_addresses: [server.address] });
    const clients = Array.from({ length: clientsMax }, open);
    try {
      const answers = await Promise.all(clients.map((client) => client.lookupAccounts([1n])));
      expect(answers).toEqual(clients.map(() => []));
    } finally {
      for (const client of clients) client.destroy();
    }
  });

  it("answers all that was asked when it is destroyed, and lets the process end", async () => {
    const main = fileURLToPath(new URL("../support/ledger/destroy-busy-main.ts", import.meta.url));
    const run = promisify(execFile);
    for (let times = 0; times < 3; times += 1) {
      expect((await run(process.execPath, [main, server.address])).stdout).toBe("40\n");
    }
  });
});
