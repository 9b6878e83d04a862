import { describe, expect, it } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { intentDigester, intentDomain } from "#common/intent/digest.ts";
import { checkPostings } from "#common/intent/posting-rules.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import type { MeshIdentity } from "../state/state.ts";
import { fundingIntent, products, purchaseIntent, signIntent, transferIntent } from "./intents.ts";

// A key that everybody knows: the first of Hardhat's and Anvil's accounts.
const wallet = {
  name: "known",
  address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
  privateKey: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
};
const other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

describe("intents", () => {
  it("are what the posting rules allow", () => {
    for (const product of Object.keys(products)) {
      const authority = checkPostings(purchaseIntent(product, wallet.address), {});
      expect(authority).toEqual({ wallet: true, house: false });
    }
    const transfer = transferIntent(100n, { from: wallet.address, to: other });
    expect(checkPostings(transfer, {})).toEqual({ wallet: true, house: false });
    const funding = fundingIntent(2_000n, wallet.address);
    expect(checkPostings(funding, {})).toEqual({ wallet: false, house: true });
    expect(funding.wallet).toBe(zeroWallet);
  });

  it("cost what the shop says, the bundle in three postings", () => {
    const bundle = purchaseIntent("bundle", wallet.address);
    expect(bundle.postings.map(({ amount }) => amount)).toEqual([350n, 250n, 150n]);
    expect(bundle.postings.map(({ creditAccountId }) => creditAccountId)).toEqual([
      4_000_001n,
      4_000_002n,
      4_000_003n,
    ]);
    const payer = walletAccountId(wallet.address, 1);
    expect(bundle.postings.every(({ debitAccountId }) => debitAccountId === payer)).toBe(true);
  });

  it("are signed by their wallet for this mesh alone", () => {
    const identity: MeshIdentity = {
      engine: "embedded",
      external: false,
      clusterId: "7",
      environment: "development",
      chainId: "31337",
      verifyingContract: other,
    };
    const source = { ...identity, clusterId: 7n, chainId: 31_337n };
    const intent = purchaseIntent("milk", wallet.address);
    const signature = signIntent(intent, wallet, identity);
    const here = intentDigester(intentDomain(source))(intent);
    const elsewhere = intentDigester(intentDomain({ ...source, clusterId: 8n }))(intent);
    expect(recoverAddress(here, signature)).toBe(wallet.address);
    expect(recoverAddress(elsewhere, signature)).not.toBe(wallet.address);
  });
});
