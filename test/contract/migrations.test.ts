// Goal: a roll-out may stop in the middle and go back. Method: every migration says which program may run on what it
// leaves, and what says that older ones may takes nothing away that they use.
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** From before migrations said it: only programs that know them run on them. They stay as they were applied. */
const unmarked = [
  "attestor/0001-attestation.sql",
  "attestor/0002-role.sql",
  "checkout/0001-checkout.sql",
  "checkout/0002-role.sql",
  "clearing/0001-evidence.sql",
  "clearing/0002-evidence-resolutions.sql",
  "clearing/0003-evidence-prefix-unique.sql",
  "clearing/0004-roles.sql",
  "clearing/0005-ledger-identity.sql",
];

const files = globSync("services/*/migrations/*.sql", { cwd: root })
  .map((path) => ({
    path,
    service: path.split("/")[1] ?? "",
    name: basename(path),
    sql: readFileSync(join(root, path), "utf8"),
  }))
  .filter(({ name }) => name !== "roles.sql")
  .toSorted((a, b) => a.path.localeCompare(b.path));

/** What an older program may stumble over: it reads, or it writes without knowing. */
const takesAway =
  /\bdrop\s+(table|column|view|type|function|schema)\b|\brename\b|\balter\s+(column\s+)?\w+\s+(set\s+data\s+)?type\b|\bset\s+not\s+null\b/i;

describe("the migrations", () => {
  it("are there", () => {
    for (const known of unmarked) {
      expect(files.map(({ service, name }) => `${service}/${name}`)).toContain(known);
    }
  });

  it("have a number each that no other of the service has, and roles.sql beside them", () => {
    const numbers = files.map(({ path, name }) => `${dirname(path)}/${name.split("-")[0]}`);
    expect(numbers).toEqual([...new Set(numbers)]);
    for (const service of new Set(files.map((file) => file.service))) {
      expect(globSync(`services/${service}/migrations/roles.sql`, { cwd: root })).toHaveLength(1);
    }
  });

  const marked = files.filter(({ service, name }) => !unmarked.includes(`${service}/${name}`));
  for (const { path, service, name, sql } of marked) {
    it(`${path} says which is the oldest that a program must know, or none`, () => {
      const oldest = /^-- compatible-from: (\S+)$/m.exec(sql)?.[1];
      const before = files.filter((file) => file.service === service && file.name <= name);
      expect(["none", ...before.map((file) => file.name)]).toContain(oldest);
      if (oldest !== "none" && oldest !== name) expect(sql).not.toMatch(takesAway);
    });
  }
});
