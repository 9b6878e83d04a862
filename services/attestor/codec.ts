import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { formatApproval, parseApproval } from "#common/approval/codec.ts";
import { invalidField } from "#common/domain-error.ts";
import {
  formatAttestation,
  formatIntent,
  parseIntent,
  parseWalletSignature,
} from "#common/intent/codec.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { Implementation } from "#common/rpc/mount.ts";
import type { PageTokens } from "#common/wire/page-token.ts";
import type { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  type Proposal as ProposalProto,
  ProposalSchema,
  ProposalState as ProposalStateProto,
} from "#gen/sovr/attestor/v1/proposal_pb.ts";
import { type ProposalState, stateOf } from "./proposal.ts";
import type { JudgedProposal, Proposals } from "./proposals.ts";

type ProposalMethods = Pick<
  Implementation<typeof AttestorService>,
  "proposeIntent" | "listProposals" | "getProposal" | "decideProposal" | "withdrawProposal"
>;

export interface ProposalMethodsOptions {
  readonly proposals: Proposals;
  readonly pageTokens: PageTokens;
  /** Unix seconds. */
  readonly nowSeconds: () => bigint;
}

const pageSizeDefault = 100;

/** The methods of AttestorService about proposals: wire to domain and back. */
export function createProposalMethods(options: ProposalMethodsOptions): ProposalMethods {
  const { proposals, pageTokens, nowSeconds } = options;
  const format = (judged: JudgedProposal) => formatProposal(judged, nowSeconds());
  return {
    async proposeIntent(request, context) {
      const proposed = await proposals.propose({
        intent: parseIntent(required(request.intent, "intent")),
        walletSignature: parseWalletSignature(request.walletSignature, "wallet_signature"),
        validateOnly: request.validateOnly,
        caller: requirePrincipal(context),
      });
      return { proposal: format(proposed) };
    },

    async listProposals({ pageSize, pageToken, state }) {
      const limit = pageSize === 0 ? pageSizeDefault : pageSize;
      const list = ["proposals", state];
      const before = pageToken === "" ? undefined : placeOf(pageTokens.open(list, pageToken));
      // One more than asked for tells whether there is a next page.
      const found = await proposals.list({ state: parseState(state), before, limit: limit + 1 });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return {
        proposals: page.map(format),
        nextPageToken:
          found.length > limit && last !== undefined
            ? pageTokens.seal(list, placeBytes(last.proposal.number))
            : "",
      };
    },

    async getProposal({ intentId }) {
      return { proposal: format(await proposals.get(intentId)) };
    },

    async decideProposal(request, context) {
      const decided = await proposals.decide({
        intentId: request.intentId,
        approval: parseApproval(required(request.approval, "approval"), "approval"),
        caller: requirePrincipal(context),
        limit: limitOf(context),
      });
      return { proposal: format(decided) };
    },

    async withdrawProposal({ intentId }, context) {
      return { proposal: format(await proposals.withdraw(intentId, requirePrincipal(context))) };
    },
  };
}

/** The runtime has checked that the field is there; the type does not know. */
export function required<Message>(message: Message | undefined, field: string): Message {
  if (message === undefined) throw invalidField(field, "required", "is required");
  return message;
}

const stateToProto = {
  OPEN: ProposalStateProto.OPEN,
  APPROVED: ProposalStateProto.APPROVED,
  REJECTED: ProposalStateProto.REJECTED,
  WITHDRAWN: ProposalStateProto.WITHDRAWN,
  EXPIRED: ProposalStateProto.EXPIRED,
} as const satisfies Record<ProposalState, ProposalStateProto>;

const stateFromProto = new Map<number, ProposalState>(
  Object.entries(stateToProto).map(([state, number]) => [number, state as ProposalState]),
);

/** Undefined: every state. The runtime has refused unknown numbers. */
function parseState(state: ProposalStateProto): ProposalState | undefined {
  return stateFromProto.get(state);
}

function placeBytes(number: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(number);
  return bytes;
}

function placeOf(bytes: Buffer): bigint {
  return bytes.readBigInt64BE(0);
}

function formatProposal({ proposal, demands }: JudgedProposal, nowSeconds: bigint): ProposalProto {
  const { intent, closeTimeMs, attestation } = proposal;
  return create(ProposalSchema, {
    intentId: intent.intentId,
    intent: formatIntent(intent),
    digest: proposal.digest,
    state: stateToProto[stateOf(proposal, nowSeconds)],
    proposer: proposal.proposer,
    signer: proposal.signer,
    demands: demands.map((demand) => ({ ...demand, approvers: [...demand.approvers] })),
    approvals: proposal.decisions.map(formatApproval),
    createTime: timestampFromMs(proposal.createTimeMs),
    ...(closeTimeMs === undefined ? {} : { closeTime: timestampFromMs(closeTimeMs) }),
    ...(attestation === undefined ? {} : { attestation: formatAttestation(attestation) }),
  });
}
