import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { zeroWallet } from "#common/address.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { chartAccountId } from "#common/ledger/chart.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { createRpcClient } from "#common/rpc/client.ts";
import { newUuidV7 } from "#common/uuid.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingIntentSchema, Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";

export interface FaucetOptions {
  readonly attestorAddress: string;
  readonly clearingAddress: string;
  /** A token with the scopes attest.house, clearing.write and wallet.open. */
  readonly token: () => Promise<string>;
  /** Studio's own; without it the peers are called in the clear. */
  readonly certificates?: Certificates | undefined;
}

/** Play money, moved the way all money moves: by an attested intent that clears. */
export interface Faucet {
  /** Opens the wallet's dollar account and funds it. `amount`: cents. Gives the intent's id; rejects with ConnectError. */
  fund(wallet: string, amount: bigint): Promise<string>;
  close(): void;
}

const usd = 1;
const cash = 1_000_002n;
const callMs = 5_000;

export function openFaucet(options: FaucetOptions): Faucet {
  const { certificates } = options;
  const common = { token: options.token, defaultTimeoutMs: callMs };
  const attestor = createRpcClient(AttestorService, {
    ...common,
    address: options.attestorAddress,
    security: certificates && { certificates, peer: "attestor" },
  });
  const clearing = createRpcClient(ClearingService, {
    ...common,
    address: options.clearingAddress,
    security: certificates && { certificates, peer: "clearing" },
  });
  return {
    async fund(wallet, amount) {
      const { accountId } = await clearing.openWallet({ wallet, ledger: usd });
      const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
      const intent = create(ClearingIntentSchema, {
        intentId: newUuidV7(),
        phase: Phase.IMMEDIATE,
        wallet: zeroWallet,
        reference: "development faucet",
        postings: [
          {
            debitAccountId: String(chartAccountId(cash, usd)),
            creditAccountId: accountId,
            amount: String(amount),
            ledger: usd,
            code: postingCodes.FUNDING,
          },
        ],
        issueTime: timestampFromMs(nowMs),
        expireTime: timestampFromMs(nowMs + 600_000),
      });
      const { attestation } = await attestor.attest({ intent });
      if (attestation === undefined) throw new Error("Attest answered no attestation");
      await clearing.clear({ intent, attestation });
      return intent.intentId;
    },
    close() {
      attestor[Symbol.dispose]();
      clearing[Symbol.dispose]();
    },
  };
}
