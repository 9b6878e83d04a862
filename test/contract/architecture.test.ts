// Goal: every room can be understood and changed alone. Method: the imports of every file of the product, types included,
// against the rules of CONTRIBUTING.md, "Rooms". Biome says the same in the editor where it can.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const floors = ["common", "contracts", "engine", "services", "cli"];

/** What a text imports, in whatever way: from "x", import "x", import("x"), new URL("x", import.meta.url). */
function importsOf(text: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(["'])(?<specifier>[^"'\n]+)\1/g;
  return [...text.matchAll(pattern)].map(({ groups }) => groups?.["specifier"] ?? "");
}

/** Where an import ends: a path from the repository's root, or the package's name as it stands. */
function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith("#")) return posix.normalize(specifier.slice(1));
  if (!specifier.startsWith(".")) return specifier;
  return posix.join(posix.dirname(file), specifier);
}

/** A rule: what the files of a room may not import. Paths are from the repository's root. */
interface Rule {
  readonly says: string;
  readonly applies: (file: string) => boolean;
  readonly refuses: (target: string, file: string) => boolean;
}

const isPath = (target: string) =>
  /^(common|contracts|engine|services|cli|test|bench|gen)\//.test(target);
const serviceOf = (path: string) => path.split("/")[1];
const drivers =
  /^(@grpc\/|@connectrpc\/|@bufbuild\/|pg$|stripe$|tigerbeetle-node$|node:sqlite$|gen\/|common\/(rpc|postgres|tigerbeetle)\/|common\/wire\/(?!cursor|page-token))|\/drivers\//;

/** The files of a service that are not its core: they know transport, contracts or drivers. */
const outerFiles =
  /^services\/\w+\/((main|config|deps|service|codec)\.ts|drivers\/|batch\/|serve\/encode\.ts)/;

const rules: readonly Rule[] = [
  {
    says: "a service imports no other, neither the engine nor the command line",
    applies: (file) => file.startsWith("services/"),
    refuses: (target, file) =>
      /^(engine|cli|test|bench)\//.test(target) ||
      (target.startsWith("services/") && serviceOf(target) !== serviceOf(file)),
  },
  {
    says: "common serves the services and knows none",
    applies: (file) => file.startsWith("common/"),
    refuses: (target) => /^(services|cli|test|bench)\//.test(target),
  },
  {
    says: "only common/tigerbeetle opens the engine",
    applies: (file) => file.startsWith("common/") && !file.startsWith("common/tigerbeetle/"),
    refuses: (target) => target.startsWith("engine/"),
  },
  {
    says: "the engine imports nothing of the rest",
    applies: (file) => file.startsWith("engine/"),
    refuses: (target) =>
      isPath(target) ? !target.startsWith("engine/") : !/^(node:|tigerbeetle-node$)/.test(target),
  },
  {
    says: "the contracts import nothing of the rest",
    applies: (file) => file.startsWith("contracts/"),
    refuses: (target) => isPath(target) && !target.startsWith("contracts/"),
  },
  {
    says: "the runtime knows no service and no domain",
    applies: (file) => file.startsWith("common/rpc/"),
    refuses: (target) =>
      /^common\/((?!rpc\/|process\/)\w+\/|contracts\.ts$)/.test(target) ||
      /^gen\/sovr\/(?!common\/)/.test(target),
  },
  {
    says: "the wire's words are those of intents and of the ledger",
    applies: (file) => file.startsWith("common/wire/"),
    refuses: (target) =>
      /^common\/(?!wire\/|intent\/|ledger\/(?!drivers\/))\w+\//.test(target) ||
      target.startsWith("engine/"),
  },
  {
    says: "a process knows no RPC and no domain",
    applies: (file) => file.startsWith("common/process/"),
    refuses: (target) => target.startsWith("gen/") || /^common\/(?!process\/)\w+\//.test(target),
  },
  {
    says: "a core knows no transport, no generated code and no driver",
    applies: (file) =>
      /^services\/(attestor|checkout|clearing|eventstream|ledger)\//.test(file) &&
      !outerFiles.test(file),
    refuses: (target) => drivers.test(target),
  },
  {
    says: "an event goes from read to live to serve, and no room knows one that comes after it",
    applies: (file) => /^services\/eventstream\/(read|live)\//.test(file),
    refuses: (target, file) =>
      target.startsWith("services/eventstream/serve/") ||
      (target.startsWith("services/eventstream/live/") && file.includes("/read/")),
  },
  {
    says: "the command line starts services and reaches into none",
    applies: (file) => file.startsWith("cli/"),
    refuses: (target) => /^(services|test)\//.test(target),
  },
];

/** Each import of a file that a rule refuses, in words. */
function trespasses(file: string, text: string): string[] {
  const targets = importsOf(text).map((specifier) => targetOf(file, specifier));
  return rules
    .filter((rule) => rule.applies(file))
    .flatMap((rule) =>
      targets
        .filter((target) => rule.refuses(target, file))
        .map((target) => `${file} imports ${target}: ${rule.says}`),
    );
}

const files = floors.flatMap((floor) =>
  readdirSync(join(root, floor), { recursive: true, encoding: "utf8" })
    .map((path) => posix.join(floor, path))
    .filter((path) => /\.tsx?$/.test(path) && !/\.test\.tsx?$/.test(path))
    .filter((path) => !/\/(dist[^/]*|node_modules|testing)\//.test(path)),
);
const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));

test("every room keeps to itself", () => {
  expect(files.length).toBeGreaterThan(300);
  expect([...texts].flatMap(([file, text]) => trespasses(file, text))).toEqual([]);
});

test("no import leads back to where it began, types included", () => {
  // A thread that a file starts by its URL is no import of it: the messages between them are types of the starter's.
  const graph = new Map(
    [...texts].map(([file, text]) => [
      file,
      importsOf(text.replace(/\bnew URL\([^)]*\)/g, ""))
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => texts.has(target) && target !== file),
    ]),
  );
  expect(circlesOf(graph)).toEqual([]);
});

test("no folder holds more than 25 files of code", () => {
  const counts = new Map<string, number>();
  for (const file of files) {
    const folder = posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  expect([...counts].filter(([, count]) => count > 25)).toEqual([]);
});

/** The groups of files that reach each other (Tarjan's strongly connected components of more than one file). */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const number = order.size;
    order.set(file, number);
    open.push(file);
    let low = number;
    for (const target of graph.get(file) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    lowest.set(file, low);
    if (low === number) {
      const circle = open.splice(open.indexOf(file));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return low;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return circles;
}

describe("the rules see", () => {
  test.each([
    ["services/ledger/x.ts", 'import { a } from "../clearing/a.ts";'],
    ["services/ledger/deep/x.ts", 'export * from "../../clearing/a.ts";'],
    ["services/ledger/x.ts", 'import "../clearing/a.ts";'],
    ["services/ledger/x.ts", 'const a = await import("../clearing/a.ts");'],
    ["services/ledger/main.ts", 'import {\n  type A,\n} from "#common/../services/clearing/a.ts";'],
    ["services/ledger/deps.ts", 'import { a } from "#engine/client.ts";'],
    ["common/x.ts", 'new Worker(new URL("../services/clearing/a.ts", import.meta.url));'],
    ["common/ledger/x.ts", 'import { a } from "#engine/client.ts";'],
    ["common/rpc/x.ts", 'import type { Intent } from "#common/intent/intent.ts";'],
    ["common/rpc/x.ts", 'import { A } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";'],
    ["common/rpc/x.ts", 'import { contracts } from "#common/contracts.ts";'],
    ["common/process/x.ts", 'import { a } from "#common/rpc/guard.ts";'],
    ["engine/x.ts", 'import { a } from "#common/u128.ts";'],
    ["engine/x.ts", 'import { a } from "pg";'],
    ["services/clearing/core/x.ts", 'import { a } from "../drivers/postgres.ts";'],
    ["services/clearing/core/x.ts", 'import { Pool } from "pg";'],
    ["services/attestor/x.ts", 'import { a } from "#gen/sovr/attestor/v1/intent_pb.ts";'],
    ["services/eventstream/live/x.ts", 'import { a } from "#common/wire/transfer.ts";'],
    ["common/wire/x.ts", 'import { a } from "#common/postgres/pool.ts";'],
    ["common/wire/x.ts", 'import { a } from "#common/ledger/drivers/tigerbeetle.ts";'],
    ["services/checkout/settle/x.ts", 'import { a } from "#common/rpc/client.ts";'],
    [
      "services/eventstream/live/x.ts",
      'import { a } from "#common/ledger/drivers/tigerbeetle.ts";',
    ],
    ["services/eventstream/read/x.ts", 'import { Hub } from "../live/hub.ts";'],
    ["services/eventstream/live/x.ts", 'import { a } from "../serve/list.ts";'],
  ])("in %s: %s", (file, text) => {
    expect(trespasses(file, text)).toHaveLength(1);
  });

  test("a circle, and one of types", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b", "d"]],
      ["d", []],
    ]);
    expect(circlesOf(graph)).toEqual([["b", "c"]]);
  });
});

describe("the rules let pass", () => {
  test.each([
    ["services/ledger/x.ts", 'import { a } from "./clearing/a.ts";'],
    ["services/ledger/x.ts", 'import { a } from "#common/u128.ts";'],
    ["services/ledger/x.ts", 'import { a } from "clearing";'],
    ["services/ledger/service.ts", 'import { a } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";'],
    ["services/ledger/drivers/postgres.ts", 'import { Pool } from "pg";'],
    ["engine/store/x.ts", 'import { a } from "../rows/words.ts";'],
    ["services/ledger/page.ts", 'import { a } from "#common/wire/page-token.ts";'],
    ["services/eventstream/live/x.ts", 'import { a } from "#common/wire/cursor.ts";'],
    ["common/wire/x.ts", 'import { a } from "#common/ledger/reader.ts";'],
    ["common/rpc/x.ts", 'import { a } from "#common/process/logger.ts";'],
    ["common/rpc/x.ts", 'import { a } from "#common/domain-error.ts";'],
  ])("in %s: %s", (file, text) => {
    expect(trespasses(file, text)).toEqual([]);
  });
});
