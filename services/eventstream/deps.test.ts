// Goal: what was opened before something fails to open is closed again. Method: a ledger that lets a given number of
// sessions in, as a cluster does that has no more of them.
import { beforeEach, expect, test, vi } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { eventStreamConfig } from "./config.ts";
import { createEventStreamDeps } from "./deps.ts";

const sessions = vi.hoisted(() => ({ max: 0, opened: 0, closed: 0 }));

vi.mock("#common/tigerbeetle/open-client.ts", () => ({
  openClient: async () => {
    if (sessions.opened === sessions.max) throw new Error("no session is left");
    sessions.opened += 1;
    return {
      destroy: () => {
        sessions.closed += 1;
      },
    };
  },
}));

const config = eventStreamConfig({
  DATABASE_URL: "postgres://eventstream:secret@127.0.0.1:1/sovr",
  TIGERBEETLE_ADDRESSES: "127.0.0.1:1",
  JWT_ISSUER: "issuer",
  JWT_AUDIENCE: "audience",
  JWT_JWKS_URL: "http://127.0.0.1:1/jwks.json",
});
const overrides = { logger: createLogger("eventstream", "silent"), listen: false };

beforeEach(() => {
  Object.assign(sessions, { max: 0, opened: 0, closed: 0 });
});

test.each([0, 1])("closes %i clients when the next cannot be opened", async (max) => {
  sessions.max = max;
  await expect(createEventStreamDeps(config, overrides)).rejects.toThrow("no session is left");
  expect(sessions).toEqual({ max, opened: max, closed: max });
});

test("opens two clients, and closes both when it is closed itself", async () => {
  sessions.max = 2;
  const deps = await createEventStreamDeps(config, overrides);
  expect(sessions).toMatchObject({ opened: 2, closed: 0 });
  await deps.close();
  expect(sessions).toMatchObject({ opened: 2, closed: 2 });
});
