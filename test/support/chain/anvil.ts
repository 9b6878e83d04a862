import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HDNodeWallet, JsonRpcProvider, Mnemonic, Network, NonceManager } from "ethers";
import { freePort } from "../rpc/free-port.ts";

const root = join(import.meta.dirname, "../../..");
const attemptsMax = 3;
const readyMs = 30_000;
/** Whose accounts anvil gives coins to. */
const words = Mnemonic.fromPhrase("test test test test test test test test test test test junk");

/** A chain of a test's own, on anvil. */
export interface TestChain extends AsyncDisposable {
  /** Its HTTP address. */
  readonly url: string;
  readonly chainId: bigint;
  readonly provider: JsonRpcProvider;
  /** An account with coins, which counts its own transactions. 0 to 9. */
  account(index: number): NonceManager;
  /** The private key of that account: `0x` hex. */
  privateKey(index: number): string;
}

/** Starts a chain. It ends with the test process. */
export async function startAnvil(chainId = 31_337n): Promise<TestChain> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const child = spawn(
      anvilProgram(),
      ["--host", "127.0.0.1", "--port", String(port), "--chain-id", String(chainId), "--silent"],
      { stdio: "ignore" },
    );
    const end = () => void child.kill("SIGKILL");
    process.once("exit", end);
    const url = `http://127.0.0.1:${port}`;
    if (await answers(url, child)) return chainAt(url, chainId, child, end);
    process.off("exit", end);
    end();
    if (attempt >= attemptsMax) throw new Error(`anvil does not answer at ${url}`);
  }
}

function chainAt(url: string, chainId: bigint, child: ChildProcess, end: () => void): TestChain {
  const network = Network.from(chainId);
  const provider = new JsonRpcProvider(url, network, {
    staticNetwork: network,
    cacheTimeout: -1, // what was asked a moment ago may be otherwise by now
    pollingInterval: 50,
  });
  const keyOf = (index: number) => HDNodeWallet.fromMnemonic(words, `m/44'/60'/0'/0/${index}`);
  const accounts = new Map<number, NonceManager>();
  return {
    url,
    chainId,
    provider,
    account(index) {
      const known = accounts.get(index) ?? new NonceManager(keyOf(index).connect(provider));
      accounts.set(index, known);
      return known;
    },
    privateKey: (index) => keyOf(index).privateKey,
    async [Symbol.asyncDispose]() {
      provider.destroy();
      process.off("exit", end);
      const gone = once(child, "exit");
      if (child.exitCode !== null || child.signalCode !== null) return;
      end();
      await gone;
    },
  };
}

function anvilProgram(): string {
  const arch = process.arch === "arm64" ? "arm64" : "amd64";
  return join(root, `node_modules/@foundry-rs/anvil-${process.platform}-${arch}/bin/anvil`);
}

async function answers(url: string, child: ChildProcess): Promise<boolean> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] });
  const headers = { "content-type": "application/json" };
  for (const deadline = Date.now() + readyMs; Date.now() < deadline; ) {
    if (child.exitCode !== null) return false;
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(url, { method: "POST", headers, body, signal }).catch(
      () => undefined,
    );
    if (answer?.ok === true) return true;
    await sleep(20);
  }
  return false;
}
