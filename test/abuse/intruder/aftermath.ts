import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { serviceNames } from "#common/service-names.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { keyFiles } from "../../../cli/state/keys.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";
import { forgedLine } from "./injection.ts";

const parts = [...serviceNames, "studio", "envoy", "stripe-sim"];

/** What one looks for when all is over. */
export interface Before {
  readonly pids: Readonly<Record<string, number>>;
  /** Tokens that were sent and must stand in no log. */
  readonly tokens: () => Iterable<string>;
}

/** The processes as they are now. */
export function pidsOf(mesh: TestMesh): Readonly<Record<string, number>> {
  return Object.fromEntries(parts.map((name) => [name, mesh.part(name).pid]));
}

/** Tests that nobody died of any of it, and that the logs tell what happened and no more. */
export function testAftermath(meshOf: () => TestMesh, beforeOf: () => Before): void {
  const logOf = (name: string) =>
    readFileSync(join(meshOf().settings.state, "logs", `${name}.log`), "utf8");

  it("the same processes serve", async () => {
    const mesh = meshOf();
    expect(pidsOf(mesh)).toEqual(beforeOf().pids);
    for (const name of serviceNames) {
      const ready = await fetch(`http://${mesh.services[name].metrics}/readyz`);
      expect([name, ready.status]).toEqual([name, 200]);
    }
    const ledger = createClient(LedgerService, mesh.client().transport);
    const trial = await ledger.getTrialBalance({ ledger: 1 });
    expect(trial.debitsPosted).toBe(trial.creditsPosted);
  });

  it("no call stays under way", async () => {
    for (const name of serviceNames) {
      await expect.poll(() => underWay(meshOf(), name), { message: name }).toBe(0);
    }
  });

  it.each(serviceNames)("%s has written nothing but lines of its own, and no error", (name) => {
    const lines = logOf(name)
      .split("\n")
      .filter((line) => line !== "");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      const { level, msg } = JSON.parse(line) as { readonly level: string; readonly msg: string };
      expect(["trace", "debug", "info", "warn"], line.slice(0, 4_000)).toContain(level);
      expect(msg).not.toContain("forged by an intruder");
    }
    expect(lines).not.toContain(forgedLine);
  });

  it("Envoy has written each call as one line", () => {
    const lines = logOf("envoy").split("\n");
    expect(lines.some((line) => line.startsWith('{"'))).toBe(true);
    expect(lines).not.toContain(forgedLine);
    for (const line of lines) if (line.startsWith("{")) JSON.parse(line);
  });

  it("no log has a secret, or a token that was sent", () => {
    const files = keyFiles(meshOf().settings);
    const issuer = JSON.parse(readFileSync(files.issuer, "utf8")) as { readonly d: string };
    const read = [files.stripe.secretKey, files.stripe.webhookSecret, files.databasePassword];
    const secrets = [issuer.d, ...read.map((file) => readFileSync(file, "utf8").trim())];
    const key = readFileSync(files.attestor, "utf8").trim().replace(/^0x/, "");
    const tokens = [...beforeOf().tokens()].filter((token) => token.length > 40);
    for (const name of parts) {
      const log = logOf(name);
      const found = [...secrets, key, ...tokens].filter((secret) => log.includes(secret));
      expect([name, found.map((secret) => secret.slice(0, 12))]).toEqual([name, []]);
    }
  });
}

async function underWay(mesh: TestMesh, name: (typeof serviceNames)[number]): Promise<number> {
  const text = await (await fetch(`http://${mesh.services[name].metrics}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith("rpc_in_flight{"))
    .reduce((total, line) => total + Number(/\} ([0-9]+)/.exec(line)?.[1]), 0);
}
