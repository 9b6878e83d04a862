import {
  AbiCoder,
  concat,
  FetchRequest,
  getCreate2Address,
  Interface,
  id,
  isError,
  JsonRpcProvider,
  keccak256,
  Network,
  NonceManager,
  type TransactionReceipt,
  Wallet,
} from "ethers";
import { type ContractArtifact, isCodeOf } from "../../contracts/artifacts.ts";
import { describeError, Problem } from "../command/problem.ts";

/**
 * The deployer that stands at the same address on every public chain and on anvil, from a transaction whose key nobody has:
 * https://github.com/Arachnid/deterministic-deployment-proxy. What it creates has an address that follows from the code
 * and the constructor's arguments alone, so that deploying twice is deploying once.
 */
export const deterministicDeployer = "0x4e59b44847b379578588920cA78FbF26c0B4956C";

const salt = id("sovr-mesh");
const answerMs = 15_000;
const minedMs = 300_000;

/** A contract with what its constructor is given. */
export interface PlannedContract {
  readonly name: string;
  readonly artifact: ContractArtifact;
  readonly constructorArguments: readonly unknown[];
}

export interface DeployedContract {
  /** EIP-55. */
  readonly address: string;
  /** The transaction that created it; undefined if it stood there already. */
  readonly transactionHash: string | undefined;
  /** What that cost; 0 if it stood there already. */
  readonly gasUsed: bigint;
}

/** A chain that was asked which one it is. */
export interface ReachedChain {
  readonly provider: JsonRpcProvider;
  readonly chainId: bigint;
}

/**
 * Reaches a chain over HTTP. Throws Problem if nobody answers there, or another chain does: a transaction for one must not
 * be signed for the other.
 */
export async function reachChain(url: URL, chainId: bigint): Promise<ReachedChain> {
  const request = new FetchRequest(url.href);
  request.timeout = answerMs;
  // Told which network it is, ethers does not ask for it again and again where nobody answers. A bare one, for those that it
  // knows ask strangers for the price of gas.
  const network = new Network("evm", chainId);
  const provider = new JsonRpcProvider(request, network, {
    staticNetwork: network,
    batchMaxCount: 1,
    // By itself it would answer again what it was told before a transaction was mined.
    cacheTimeout: -1,
  });
  try {
    const answered = BigInt(await provider.send("eth_chainId", []));
    if (answered === chainId) return { provider, chainId };
    throw new Problem(`${url.origin} is chain ${answered}, not ${chainId}`);
  } catch (error) {
    provider.destroy();
    if (error instanceof Problem) throw error;
    throw new Problem(`no chain answers at ${url.origin}: ${briefly(error)}`);
  }
}

/** Where a contract stands once it is deployed, and what creates it there. */
export function planOf({ artifact, constructorArguments }: PlannedContract): {
  readonly address: string;
  readonly data: string;
} {
  const { inputs } = new Interface(artifact.abi).deploy;
  const encoded = AbiCoder.defaultAbiCoder().encode(inputs, constructorArguments);
  const code = concat([artifact.bytecode, encoded]);
  return {
    address: getCreate2Address(deterministicDeployer, salt, keccak256(code)),
    data: concat([salt, code]),
  };
}

/** What deploying costs at most at the chain's price of now, in its smallest unit; undefined if it stands there already. */
export async function estimateCost(
  { provider }: ReachedChain,
  from: string,
  contract: PlannedContract,
): Promise<bigint | undefined> {
  const { address, data } = planOf(contract);
  if ((await provider.getCode(address)) !== "0x") return undefined;
  const gas = await provider.estimateGas({ from, to: deterministicDeployer, data });
  const { maxFeePerGas, gasPrice } = await provider.getFeeData();
  return gas * (maxFeePerGas ?? gasPrice ?? 0n);
}

/**
 * Deploys a contract unless it stands there, and makes sure that what stands there is it. Safe to repeat, also after an
 * attempt whose transaction nobody has seen yet. Throws Problem.
 */
export async function deployContract(
  chain: ReachedChain,
  privateKey: string,
  contract: PlannedContract,
): Promise<DeployedContract> {
  const { provider, chainId } = chain;
  if ((await provider.getCode(deterministicDeployer)) === "0x") {
    throw new Problem(
      `chain ${chainId} has no deployer at ${deterministicDeployer}: it has to be put there first (github.com/Arachnid/deterministic-deployment-proxy)`,
    );
  }
  const { address } = planOf(contract);
  if ((await provider.getCode(address)) !== "0x") {
    await requireCode(chain, contract, address);
    return { address, transactionHash: undefined, gasUsed: 0n };
  }
  const receipt = await create(chain, privateKey, contract);
  await requireCode(chain, contract, address);
  return { address, transactionHash: receipt.hash, gasUsed: receipt.gasUsed };
}

async function create(
  { provider }: ReachedChain,
  privateKey: string,
  contract: PlannedContract,
): Promise<TransactionReceipt> {
  const signer = new NonceManager(new Wallet(privateKey, provider));
  const { data } = planOf(contract);
  const sent = await signer
    .sendTransaction({ to: deterministicDeployer, data })
    .catch((error: unknown) => {
      throw sendingProblem(contract.name, error);
    });
  try {
    const receipt = await sent.wait(1, minedMs);
    if (receipt !== null) return receipt;
  } catch (error) {
    if (!isError(error, "TIMEOUT")) {
      throw new Problem(`${contract.name} was not created by ${sent.hash}: ${briefly(error)}`);
    }
  }
  throw new Problem(
    `${sent.hash}, which creates ${contract.name}, was not mined within five minutes: look at it, then run this again`,
  );
}

/** What went wrong without the node's address, which may hold a key of whoever pays for it. */
function briefly(error: unknown): string {
  const { shortMessage } = error as { readonly shortMessage?: unknown };
  return typeof shortMessage === "string" ? shortMessage : describeError(error);
}

function sendingProblem(name: string, error: unknown): Problem {
  if (isError(error, "INSUFFICIENT_FUNDS"))
    return new Problem(`the account of the key has too little to pay for ${name}: send it gas`);
  return new Problem(`${name} cannot be deployed: ${briefly(error)}`);
}

async function requireCode(
  { provider }: ReachedChain,
  { name, artifact }: PlannedContract,
  address: string,
): Promise<void> {
  if (!isCodeOf(artifact, await provider.getCode(address)))
    throw new Problem(`the code at ${address} is not that of ${name}`);
}
