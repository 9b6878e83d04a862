// Goal: whoever runs ./mesh chain deploy pays for each contract once, on the chain that was meant, and knows what stands there.
// Method: the command itself against chains on anvil.
import { Contract, computeAddress } from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deterministicDeployer } from "../../cli/chain/deploy-contract.ts";
import { readSettings } from "../../cli/state/settings.ts";
import { isCodeOf, poscr, sfiat } from "../../contracts/artifacts.ts";
import { startAnvil, type TestChain } from "../support/chain/anvil.ts";
import { type CommandResult, newStateFolder, runMeshCommand } from "../support/mesh/mesh.ts";

/** Polygon's id, whose rules are those of a chain where it costs. */
const polygon = 137n;
const safe = "0x00000000000000000000000000000000000000A1";

let state: string;
let development: TestChain;
let dear: TestChain;

beforeAll(async () => {
  [state, development, dear] = await Promise.all([
    newStateFolder(),
    startAnvil(),
    startAnvil(polygon),
  ]);
});
afterAll(() => Promise.all([development, dear].map((chain) => chain?.[Symbol.asyncDispose]())));

interface Wish {
  readonly chain?: TestChain;
  readonly key?: string;
  readonly flags?: readonly string[];
}

function deploy({ chain = development, key, flags = [] }: Wish = {}): Promise<CommandResult> {
  const environment = {
    ...process.env,
    MESH_STATE: state,
    GATEWAY_OPERATOR_PRIVATE_KEY: key ?? chain.privateKey(0),
  };
  const where = ["--rpc", chain.url, "--chain-id", String(chain.chainId)];
  return runMeshCommand(readSettings(environment), environment, [
    "chain",
    "deploy",
    ...where,
    ...flags,
  ]);
}

const addressIn = ({ stdout }: CommandResult, name: string) =>
  new RegExp(`^${name}_CONTRACT_ADDRESS=(0x[0-9a-fA-F]{40})$`, "m").exec(stdout)?.[1] ?? "";

describe("./mesh chain deploy", () => {
  it("deploys both contracts for development, and finds them the second time", async () => {
    const first = await deploy({ flags: ["--poscr"] });
    expect(first).toMatchObject({ code: 0, stderr: "" });
    const provider = development.provider;
    for (const [name, artifact] of Object.entries({ SFIAT: sfiat, POSCR: poscr })) {
      const code = await provider.getCode(addressIn(first, name));
      expect([name, isCodeOf(artifact, code)]).toEqual([name, true]);
    }
    const operator = computeAddress(development.privateKey(0));
    const token = new Contract(addressIn(first, "SFIAT"), sfiat.abi, provider);
    expect(await token.getFunction("defaultAdmin")()).toBe(operator);
    const minterRole = await token.getFunction("MINTER_ROLE")();
    expect(await token.getFunction("hasRole")(minterRole, operator)).toBe(true);

    const sent = await provider.getTransactionCount(operator);
    const second = await deploy({ flags: ["--poscr"] });
    expect(second.stdout).toMatch(/SFIAT on chain 31337 stood there already/);
    expect(addressIn(second, "SFIAT")).toBe(addressIn(first, "SFIAT"));
    expect(await provider.getTransactionCount(operator)).toBe(sent);
  });

  it("pays on a public chain only if that is meant, and where somebody else gives out the roles", async () => {
    expect(await deploy({ chain: dear })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--admin: outside chain 31337 say who grants/),
    });
    expect(await deploy({ chain: dear, flags: ["--admin", safe] })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/pays about [0-9.]+ of chain 137's coin for SFIAT; say --yes/),
    });
    expect(await dear.provider.getTransactionCount(computeAddress(dear.privateKey(0)))).toBe(0);
    const done = await deploy({ chain: dear, flags: ["--admin", safe, "--yes"] });
    expect(done).toMatchObject({ code: 0, stderr: "" });
    const token = new Contract(addressIn(done, "SFIAT"), sfiat.abi, dear.provider);
    expect(await token.getFunction("defaultAdmin")()).toBe(safe);
  });

  it("puts no POSCR where the real one may be", async () => {
    const { code, stderr } = await deploy({ chain: dear, flags: ["--admin", safe, "--poscr"] });
    expect(code).toBe(1);
    expect(stderr).toMatch(/--poscr: chain 137 is none of 31337, 80002, 11155111/);
  });

  it("signs nothing for another chain than was said, and says who does not answer", async () => {
    const flags = ["--rpc", dear.url];
    expect((await deploy({ flags })).stderr).toBe(`mesh: ${dear.url} is chain 137, not 31337\n`);
    const away = ["--rpc", "http://127.0.0.1:1"];
    expect((await deploy({ flags: away })).stderr).toMatch(
      /^mesh: no chain answers at http:\/\/127\.0\.0\.1:1: /,
    );
  });

  it("names what is wrong with what it was given, and never the key", async () => {
    const key = `0x${"zz".repeat(32)}`;
    const { stderr } = await deploy({ key });
    expect(stderr).toBe("mesh: GATEWAY_OPERATOR_PRIVATE_KEY is no private key: 64 hex digits\n");
    expect((await deploy({ flags: ["--minter", "0x12"] })).stderr).toMatch(
      /--minter 0x12 is no addr/,
    );
    expect((await deploy({ flags: ["--chain-id", "zero"] })).stderr).toMatch(
      /--chain-id is a whole/,
    );
  });

  it("says that the account cannot pay, and that the chain lacks the deployer", async () => {
    const poor = `0x${"11".repeat(32)}`;
    expect((await deploy({ key: poor })).stderr).toMatch(/has too little to pay for SFIAT/);
    await using bare = await startAnvil();
    await bare.provider.send("anvil_setCode", [deterministicDeployer, "0x"]);
    expect((await deploy({ chain: bare })).stderr).toMatch(
      /chain 31337 has no deployer at 0x4e59b448/,
    );
  });
});
