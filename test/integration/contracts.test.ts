// Goal: the contracts do what the mesh relies on, and nothing else moves anybody's tokens. Method: the compiled contracts on a
// real chain (anvil), called by ethers; what a wallet signs is signed by ethers.
import {
  type BaseContract,
  Contract,
  ContractFactory,
  id,
  type NonceManager,
  Signature,
  type Signer,
  type TypedDataDomain,
  toBeHex,
  ZeroHash,
} from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractArtifact, isCodeOf, poscr, sfiat } from "../../contracts/artifacts.ts";
import { startAnvil, type TestChain } from "../support/chain/anvil.ts";

const adminDelaySeconds = 259_200;
const day = 86_400;

let chain: TestChain;
let admin: NonceManager;
let minter: NonceManager;
let pauser: NonceManager;
let alice: NonceManager;
let bob: NonceManager;
let token: Contract;

beforeAll(async () => {
  chain = await startAnvil();
  [admin, minter, pauser, alice, bob] = [0, 1, 2, 3, 4].map((index) => chain.account(index)) as [
    NonceManager,
    NonceManager,
    NonceManager,
    NonceManager,
    NonceManager,
  ];
  token = await deploy(sfiat, [
    await of(admin),
    adminDelaySeconds,
    await of(minter),
    await of(pauser),
  ]);
});
afterAll(() => chain?.[Symbol.asyncDispose]());

const of = (account: Signer) => account.getAddress();
const as = (account: Signer) => token.connect(account) as Contract;

async function deploy(artifact: ContractArtifact, args: readonly unknown[]): Promise<Contract> {
  const factory = new ContractFactory(artifact.abi, artifact.bytecode, admin);
  const deployed: BaseContract = await (await factory.deploy(...args)).waitForDeployment();
  return new Contract(await deployed.getAddress(), artifact.abi, chain.provider);
}

/** Calls a method and waits until it is mined. */
async function send(contract: Contract, method: string, ...args: unknown[]): Promise<void> {
  // An estimate first: what reverts says so before it takes a nonce.
  await contract.getFunction(method).estimateGas(...args);
  await (await contract.getFunction(method)(...args)).wait();
}

/** The name of the error with which a call reverts. */
async function refusal(contract: Contract, method: string, ...args: unknown[]): Promise<string> {
  try {
    await contract.getFunction(method).staticCall(...args);
    return "no refusal";
  } catch (error) {
    const { data } = error as { data?: string };
    return contract.interface.parseError(data ?? "0x")?.name ?? String(error);
  }
}

const balance = (account: string): Promise<bigint> => token.getFunction("balanceOf")(account);

async function give(account: Signer, amount: bigint): Promise<void> {
  await send(as(minter), "mint", id(`${Math.random()}`), await of(account), amount);
}

/** What the contract says it signs under (EIP-5267), not what this test thinks. */
async function domainOf(contract: Contract): Promise<TypedDataDomain> {
  const [, name, version, chainId, verifyingContract] =
    await contract.getFunction("eip712Domain")();
  return { name, version, chainId, verifyingContract };
}

async function now(): Promise<number> {
  return (await chain.provider.getBlock("latest"))?.timestamp ?? 0;
}

describe("SFIAT", () => {
  it("is cents of a token that stands on the chain as it was compiled", async () => {
    expect(await token.getFunction("decimals")()).toBe(2n);
    expect(await token.getFunction("symbol")()).toBe("SFIAT");
    const code = await chain.provider.getCode(await token.getAddress());
    expect(isCodeOf(sfiat, code)).toBe(true);
    expect(isCodeOf(poscr, code)).toBe(false);
  });

  it("mints for an intent once, whatever is asked the second time", async () => {
    const digest = id("an intent");
    const to = await of(bob);
    const before = await balance(to);
    await send(as(minter), "mint", digest, to, 350n);
    expect(await balance(to)).toBe(before + 350n);
    expect(await token.getFunction("isMinted")(digest)).toBe(true);
    for (const again of [350n, 1n])
      expect(await refusal(as(minter), "mint", digest, to, again)).toBe("IntentAlreadyMinted");
    expect(await refusal(as(minter), "mint", ZeroHash, to, 1n)).toBe("IntentDigestInvalid");
    expect(await refusal(as(minter), "mint", id("nothing"), to, 0n)).toBe("AmountInvalid");
  });

  it("mints by the minter alone, and pauses by the pauser alone", async () => {
    for (const stranger of [alice, admin, pauser]) {
      const args = [id("a stranger's"), await of(stranger), 1n];
      expect(await refusal(as(stranger), "mint", ...args)).toBe("AccessControlUnauthorizedAccount");
    }
    for (const stranger of [alice, admin, minter])
      expect(await refusal(as(stranger), "pause")).toBe("AccessControlUnauthorizedAccount");
  });

  it("stops every movement while it is paused", async () => {
    await give(alice, 100n);
    const to = await of(bob);
    await send(as(pauser), "pause");
    expect(await refusal(as(alice), "transfer", to, 1n)).toBe("EnforcedPause");
    expect(await refusal(as(alice), "burn", 1n)).toBe("EnforcedPause");
    expect(await refusal(as(minter), "mint", id("paused"), to, 1n)).toBe("EnforcedPause");
    await send(as(pauser), "unpause");
    await send(as(alice), "transfer", to, 1n);
  });

  it("lets nobody burn or take what another holds, of whatever role", async () => {
    await give(alice, 100n);
    const from = await of(alice);
    for (const other of [admin, minter, pauser, bob]) {
      expect(await refusal(as(other), "burnFrom", from, 1n)).toBe("ERC20InsufficientAllowance");
      const args = [from, await of(other), 1n];
      expect(await refusal(as(other), "transferFrom", ...args)).toBe("ERC20InsufficientAllowance");
    }
    const supply: bigint = await token.getFunction("totalSupply")();
    await send(as(alice), "burn", 40n);
    expect(await token.getFunction("totalSupply")()).toBe(supply - 40n);
  });

  it("hands over its roles in two steps that are days apart", async () => {
    await send(as(admin), "beginDefaultAdminTransfer", await of(bob));
    expect(await refusal(as(bob), "acceptDefaultAdminTransfer")).toBe(
      "AccessControlEnforcedDefaultAdminDelay",
    );
    await send(as(admin), "cancelDefaultAdminTransfer");
    expect(await token.getFunction("defaultAdmin")()).toBe(await of(admin));
  });

  it("takes a permit once, and none that is late or another's", async () => {
    const types = {
      Permit: [
        { name: "owner", type: "address" },
        { name: "spender", type: "address" },
        { name: "value", type: "uint256" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ],
    };
    const owner = await of(alice);
    const spender = await of(bob);
    const sign = async (by: NonceManager, deadline: number) => {
      const nonce: bigint = await token.getFunction("nonces")(owner);
      const message = { owner, spender, value: 25n, nonce, deadline };
      const { v, r, s } = Signature.from(
        await by.signer.signTypedData(await domainOf(token), types, message),
      );
      return [owner, spender, 25n, deadline, v, r, s] as const;
    };
    const later = (await now()) + day;
    expect(await refusal(as(bob), "permit", ...(await sign(alice, 1)))).toBe(
      "ERC2612ExpiredSignature",
    );
    expect(await refusal(as(bob), "permit", ...(await sign(bob, later)))).toBe(
      "ERC2612InvalidSigner",
    );
    const signed = await sign(alice, later);
    await send(as(bob), "permit", ...signed);
    expect(await refusal(as(bob), "permit", ...signed)).toBe("ERC2612InvalidSigner");
    await give(alice, 25n);
    await send(as(bob), "transferFrom", owner, spender, 25n);
  });
});

describe("SFIAT by authorization (EIP-3009)", () => {
  const fields = [
    { name: "from", type: "address" },
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
    { name: "validAfter", type: "uint256" },
    { name: "validBefore", type: "uint256" },
    { name: "nonce", type: "bytes32" },
  ];

  interface Wish {
    readonly kind: "Transfer" | "Receive";
    readonly by?: NonceManager;
    readonly validAfter?: number;
    readonly validBefore?: number;
    readonly nonce?: string;
  }

  let count = 0;
  async function authorization({ kind, by = alice, ...wish }: Wish): Promise<readonly unknown[]> {
    count += 1;
    const { validAfter = 0, validBefore = (await now()) + day, nonce = toBeHex(count, 32) } = wish;
    const [from, to] = [await of(alice), await of(bob)];
    const message = { from, to, value: 10n, validAfter, validBefore, nonce };
    const { v, r, s } = Signature.from(
      await by.signer.signTypedData(
        await domainOf(token),
        { [`${kind}WithAuthorization`]: fields },
        message,
      ),
    );
    return [from, to, 10n, validAfter, validBefore, nonce, v, r, s];
  }

  beforeAll(() => give(alice, 1_000n));

  it("moves what was signed, sent by anybody, once", async () => {
    const before = await balance(await of(bob));
    const signed = await authorization({ kind: "Transfer" });
    await send(as(pauser), "transferWithAuthorization", ...signed);
    expect(await balance(await of(bob))).toBe(before + 10n);
    expect(await refusal(as(pauser), "transferWithAuthorization", ...signed)).toBe(
      "ERC3009UsedAuthorization",
    );
  });

  it("moves nothing too early, too late, or by another's hand", async () => {
    const time = await now();
    const wishes: readonly (readonly [Wish, string])[] = [
      [{ kind: "Transfer", validAfter: time + day }, "ERC3009InvalidAuthorizationTime"],
      [{ kind: "Transfer", validBefore: time }, "ERC3009InvalidAuthorizationTime"],
      [{ kind: "Transfer", by: bob }, "ERC3009InvalidSignature"],
      [{ kind: "Receive" }, "ERC3009InvalidSignature"],
    ];
    for (const [wish, reason] of wishes) {
      const signed = await authorization(wish);
      expect(await refusal(as(bob), "transferWithAuthorization", ...signed)).toBe(reason);
    }
  });

  it("is received by the payee alone, so that nobody sends it in another's place", async () => {
    const signed = await authorization({ kind: "Receive" });
    expect(await refusal(as(pauser), "receiveWithAuthorization", ...signed)).toBe(
      "ERC20InvalidReceiver",
    );
    await send(as(bob), "receiveWithAuthorization", ...signed);
  });

  it("is worth nothing once it was taken back", async () => {
    const nonce = id("taken back");
    const signed = await authorization({ kind: "Transfer", nonce });
    const authorizer = await of(alice);
    const { v, r, s } = Signature.from(
      await alice.signer.signTypedData(
        await domainOf(token),
        {
          CancelAuthorization: [
            { name: "authorizer", type: "address" },
            { name: "nonce", type: "bytes32" },
          ],
        },
        { authorizer, nonce },
      ),
    );
    await send(as(bob), "cancelAuthorization", authorizer, nonce, v, r, s);
    expect(await refusal(as(bob), "transferWithAuthorization", ...signed)).toBe(
      "ERC3009UsedAuthorization",
    );
  });
});

describe("POSCR of development", () => {
  it("has what the mesh uses of the real one: 18 decimals, and burnFrom of what was allowed", async () => {
    const coins = await deploy(poscr, [await of(alice), 10n ** 18n]);
    expect(await coins.getFunction("decimals")()).toBe(18n);
    const asAlice = coins.connect(alice) as Contract;
    const asBob = coins.connect(bob) as Contract;
    const from = await of(alice);
    expect(await refusal(asBob, "burnFrom", from, 1n)).toBe("ERC20InsufficientAllowance");
    await send(asAlice, "approve", await of(bob), 7n);
    await send(asBob, "burnFrom", from, 7n);
    expect(await coins.getFunction("totalSupply")()).toBe(10n ** 18n - 7n);
  });
});
