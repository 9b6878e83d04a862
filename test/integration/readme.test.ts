import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProgram } from "../../cli/command/run-program.ts";
import { readSettings, repositoryRoot } from "../../cli/state/settings.ts";
import { type CodeBlock, codeBlocks } from "../support/mesh/code-blocks.ts";
import { newStateFolder, noteMesh, privateEnvironment } from "../support/mesh/mesh.ts";

// The blocks of the README and of the page of approvals, run as written and in their order, in a folder that looks like a
// fresh clone. Only the port is another one, because a mesh of the developer's may be running.

const run = promisify(execFile);
const pages = ["README.md", "docs/approvals.md"] as const;
const blocks = pages.flatMap((page) =>
  codeBlocks(readFileSync(join(repositoryRoot, page), "utf8"))
    .filter(({ language }) => language !== "yaml")
    .map((block) => ({ ...block, page })),
);
const hasGrpcurl = findProgram("grpcurl") !== undefined;
const blockMsMax = 90_000;

/** What a block must print to have done what it says, by a word that only it holds. */
const expectations: readonly { readonly block: string; readonly prints: readonly RegExp[] }[] = [
  {
    block: "./mesh demo",
    prints: [/ready after/, /INSUFFICIENT_FUNDS/, /APPROVAL_REQUIRED/, /Debits equal credits/],
  },
  { block: " list", prints: [/sovr\.ledger\.v1\.LedgerService/, /rpc ClearBatch/] },
  {
    block: "/Clear <",
    prints: [/available: 20\.00 USD/, /CLEARING_STATE_CLEARED/, /"replayed": true/],
  },
  { block: "LedgerService/GetBalance", prints: [/"available": ?"1250"/] },
  {
    block: "./mesh buy bundle",
    prints: [
      /7\.50 USD, order/,
      /CLEARED +by intent/,
      /CLEARED 3\.50 USD of order/,
      /CLEARED 1\.00 USD/,
    ],
  },
  { block: "createGrpcWebTransport", prints: [/^0-|-[0-9]+ [0-9] /m, /^4000001 [0-9]+ [0-9]+$/m] },
  {
    block: "./mesh propose fund",
    prints: [/OPEN, proposed by treasurer/, /FUNDING_FROM_CASH: 1 of 2/, /cleared: 1 transfer/],
  },
  { block: "./mesh propose adjust", prints: [/REJECTED, proposed by treasurer/, /too late/] },
  { block: "8080/sovr.attestor", prints: [/EVERY_ADJUSTMENT/] },
  { block: "8080 sovr.attestor", prints: [/FUNDING_FROM_CASH/, /DECISION_APPROVE/] },
];

let folder: string;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await newStateFolder();
  for (const name of readdirSync(repositoryRoot)) {
    if (name !== ".mesh") await symlink(join(repositoryRoot, name), join(folder, name));
  }
  environment = await privateEnvironment(join(folder, ".mesh"));
  // As a newcomer's, with the policy that ./mesh up makes.
  delete environment["APPROVALS_PATH"];
});

afterAll(async () => {
  noteMesh(readSettings(environment));
  await run("./mesh", ["down"], { cwd: folder, env: environment });
  await rm(folder, { recursive: true, force: true });
});

describe("the pages", () => {
  it("has a block for everything that is expected of one", () => {
    expect(blocks.map(expectationOf)).toEqual(expectations);
  });

  for (const block of blocks) {
    const title = `${block.page} does what its ${block.language} block in line ${block.line} says`;
    const skipped = needsGrpcurl(block) && !hasGrpcurl;
    it.skipIf(skipped)(
      skipped ? `${title} [no grpcurl on PATH]` : title,
      async () => {
        const printed = await runBlock(block);
        for (const pattern of expectationOf(block)?.prints ?? []) expect(printed).toMatch(pattern);
      },
      blockMsMax,
    );
  }
});

/** Also what reads the wallet that a block with grpcurl makes. */
function needsGrpcurl({ code }: CodeBlock): boolean {
  return code.includes("grpcurl ") || code.includes("wallet show alice");
}

function expectationOf(block: CodeBlock) {
  return expectations.find((expectation) => block.code.includes(expectation.block));
}

async function runBlock({ language, code }: CodeBlock): Promise<string> {
  const here = code.replaceAll(
    "127.0.0.1:8080",
    `127.0.0.1:${readSettings(environment).ports.envoy}`,
  );
  const script = language === "ts" ? "TOKEN=$(./mesh token) node watch.ts" : here;
  if (language === "ts") await writeFile(join(folder, "watch.ts"), here);
  const { stdout } = await run("sh", ["-eu", "-c", script], {
    cwd: folder,
    env: environment,
    timeout: blockMsMax,
  });
  return stdout;
}
