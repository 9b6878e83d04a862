import { createInterface } from "node:readline/promises";
import { computeAddress, formatEther, getAddress, isAddress, parseEther } from "ethers";
import { type Environment, readSecret } from "#common/process/environment.ts";
import { poscr, sfiat } from "../contracts/artifacts.ts";
import {
  deployContract,
  estimateCost,
  type PlannedContract,
  type ReachedChain,
  reachChain,
} from "./chain/deploy-contract.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";

const usage =
  "./mesh chain deploy --rpc URL --chain-id N [--admin ADDRESS] [--minter ADDRESS] [--pauser ADDRESS] [--poscr] [--yes]";

/** The chain of developers, whose accounts everybody has the keys of. */
const developmentChain = 31_337n;
/** Where a POSCR that is worth nothing may stand: the developers' chain, and the test networks of Polygon and Ethereum. */
const playChains: readonly bigint[] = [developmentChain, 80_002n, 11_155_111n];

/** Whoever takes over the roles has to wait as long, in seconds: three days, in which a stolen key is noticed. */
const adminDelaySeconds = 259_200;
const poscrSupply = parseEther("1000000000");

/** Deploys the contracts, each once, and says where they stand. */
runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      rpc: { type: "string" },
      "chain-id": { type: "string" },
      admin: { type: "string" },
      minter: { type: "string" },
      pauser: { type: "string" },
      poscr: { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
    },
    usage,
  );
  if (positionals.join(" ") !== "deploy") throw new Problem(`usage: ${usage}`);
  const url = readUrl(values.rpc);
  const chainId = readChainId(values["chain-id"]);
  const privateKey = readKey(process.env);
  const operator = computeAddress(privateKey);
  const admin = readAccount("--admin", values.admin) ?? onlyInDevelopment(chainId, operator);
  const minter = readAccount("--minter", values.minter) ?? operator;
  const pauser = readAccount("--pauser", values.pauser) ?? admin;
  if (values.poscr && !playChains.includes(chainId)) {
    throw new Problem(
      `--poscr: chain ${chainId} is none of ${playChains.join(", ")}; elsewhere name the real one in POSCR_CONTRACT_ADDRESS`,
    );
  }
  const planned: readonly PlannedContract[] = [
    {
      name: "SFIAT",
      artifact: sfiat,
      constructorArguments: [admin, adminDelaySeconds, minter, pauser],
    },
    ...(values.poscr
      ? [{ name: "POSCR", artifact: poscr, constructorArguments: [operator, poscrSupply] }]
      : []),
  ];
  const chain = await reachChain(url, chainId);
  try {
    if (chainId !== developmentChain && !values.yes)
      await askBeforePaying(chain, operator, planned);
    for (const contract of planned) await deployOne(chain, privateKey, contract);
  } finally {
    chain.provider.destroy();
  }
  return 0;
});

async function deployOne(
  chain: ReachedChain,
  privateKey: string,
  contract: PlannedContract,
): Promise<void> {
  const { address, transactionHash, gasUsed } = await deployContract(chain, privateKey, contract);
  const how =
    transactionHash === undefined
      ? "stood there already"
      : `was created by ${transactionHash}, for ${gasUsed} gas`;
  console.log(`${contract.name} on chain ${chain.chainId} ${how}`);
  console.log(`${contract.name}_CONTRACT_ADDRESS=${address}`);
}

/** Says what it costs, and asks a person; whoever cannot be asked must have said --yes. */
async function askBeforePaying(
  chain: ReachedChain,
  from: string,
  planned: readonly PlannedContract[],
): Promise<void> {
  const costs = await Promise.all(planned.map((contract) => estimateCost(chain, from, contract)));
  const missing = planned.filter((_, index) => costs[index] !== undefined);
  if (missing.length === 0) return;
  const cost = costs.reduce<bigint>((sum, one) => sum + (one ?? 0n), 0n);
  const what = `${from} pays about ${formatEther(cost)} of chain ${chain.chainId}'s coin for ${missing.map(({ name }) => name).join(" and ")}`;
  if (!process.stdin.isTTY) throw new Problem(`${what}; say --yes if you mean it`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`${what}.\nGo on? (yes/no) `);
    if (answer.trim().toLowerCase() !== "yes") throw new Problem("nothing was deployed");
  } finally {
    terminal.close();
  }
}

function readUrl(given: string | undefined): URL {
  const url = given !== undefined && URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new Problem(`--rpc is the http or https address of a node (usage: ${usage})`);
  return url;
}

function readChainId(given: string | undefined): bigint {
  if (given === undefined || !/^[1-9][0-9]{0,17}$/.test(given))
    throw new Problem(`--chain-id is a whole number, 137 for Polygon (usage: ${usage})`);
  return BigInt(given);
}

/** The key that pays for it, and that mints where no other account is said: the guide's name for it. */
function readKey(environment: Environment): string {
  const name = "GATEWAY_OPERATOR_PRIVATE_KEY";
  const digits = readSecret(environment, name).trim().replace(/^0x/, "");
  // Never shown, not even when it is none.
  if (!/^[0-9a-fA-F]{64}$/.test(digits) || /^0+$/.test(digits))
    throw new Problem(`${name} is no private key: 64 hex digits`);
  return `0x${digits}`;
}

function readAccount(flag: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  if (!given.startsWith("0x") || !isAddress(given))
    throw new Problem(
      `${flag} ${given} is no address: 0x and 40 hex digits, EIP-55 where case is mixed`,
    );
  return getAddress(given);
}

/** Who may mint on a public chain must not be who says who may mint. */
function onlyInDevelopment(chainId: bigint, operator: string): string {
  if (chainId === developmentChain) return operator;
  throw new Problem(
    `--admin: outside chain ${developmentChain} say who grants and revokes the roles, best a wallet of several signers`,
  );
}
