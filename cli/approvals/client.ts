import { ConnectError, createClient } from "@connectrpc/connect";
import type { Approval, Decision } from "#common/approval/approval.ts";
import { formatApproval } from "#common/approval/codec.ts";
import { approvalDigester } from "#common/approval/digest.ts";
import { parseIntent } from "#common/intent/codec.ts";
import { domainEncoder, intentDigester } from "#common/intent/digest.ts";
import { postingName } from "#common/intent/posting-rules.ts";
import { signDigest } from "#common/intent/signature.ts";
import { findAsset, formatAmount } from "#common/ledger/assets.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import { roles } from "#common/roles.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  type Proposal,
  type ProposalState,
  ProposalStateSchema,
} from "#gen/sovr/attestor/v1/proposal_pb.ts";
import type { Clearing } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { describeRpcError } from "../client/errors.ts";
import { domainOf } from "../client/intents.ts";
import { type MeshClient, openMesh } from "../client/open-mesh.ts";
import { listWallets } from "../client/wallets.ts";
import { Problem } from "../command/problem.ts";
import { readApprovers } from "../state/approvers.ts";
import type { Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";
import type { Wallet } from "../state/wallet-files.ts";

/** The Attestor as a treasurer calls it. */
export function asTreasurer(settings: Settings) {
  const { transport } = openMesh(settings, {
    scopes: roles.treasurer.scopes,
    subject: "treasurer",
  });
  return createClient(AttestorService, transport);
}

/** The approver of a name, or whose address it is: of the mesh's own, or among the wallets. A Problem if there is none. */
export function requireApprover(settings: Settings, nameOrAddress: string): Wallet {
  const wanted = nameOrAddress.toLowerCase();
  const approver = [...readApprovers(settings), ...listWallets(settings)].find(
    ({ name, address }) => name === wanted || address.toLowerCase() === wanted,
  );
  if (approver !== undefined) return approver;
  const names = readApprovers(settings).map(({ name }) => name);
  throw new Problem(
    `no key of an approver "${nameOrAddress}" here${names.length === 0 ? "" : `: there are ${names.join(", ")}`}`,
  );
}

/**
 * Decides on a proposal with an approver's key. What is signed is computed here, from the intent that the Attestor shows, and
 * not taken from it. Rejects with a Problem if the two differ, with ConnectError if it is refused.
 */
export async function sendDecision(
  settings: Settings,
  intentId: string,
  approver: Wallet,
  decision: Decision,
): Promise<Proposal> {
  const { transport, identity } = openMesh(settings, {
    scopes: roles.approver.scopes,
    subject: approver.name,
  });
  const attestor = createClient(AttestorService, transport);
  const proposal = required((await attestor.getProposal({ intentId })).proposal);
  const approval = formatApproval(signApproval(proposal, approver, decision, identity));
  return required((await attestor.decideProposal({ intentId, approval })).proposal);
}

function signApproval(
  proposal: Proposal,
  { address, privateKey }: Wallet,
  decision: Decision,
  identity: MeshIdentity,
): Approval {
  const domain = domainOf(identity);
  const intent = parseIntent(required(proposal.intent));
  const intentDigest = intentDigester(domain)(intent);
  if (intentDigest !== proposal.digest) {
    throw new Problem("the digest that the mesh shows is not that of the intent: do not sign it");
  }
  const issueTime = BigInt(Math.floor(Date.now() / 1_000));
  // It counts as long as the intent may clear.
  const fields = { decision, issueTime, expireTime: later(intent.expireTime, issueTime + 1n) };
  const digest = approvalDigester(domainEncoder(domain))(intentDigest, fields);
  const signature = signDigest(digest, Buffer.from(privateKey.slice(2), "hex"));
  return { approver: address, ...fields, signature };
}

function later(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

/** Clears what was approved. Rejects with ConnectError, with a Problem if it is not approved. */
export async function clearApproved(
  { transport }: MeshClient,
  { intent, attestation }: Proposal,
): Promise<Clearing> {
  if (intent === undefined || attestation === undefined) throw new Problem("it is not approved");
  const { clearing } = await createClient(ClearingService, transport).clear({
    intent,
    attestation,
  });
  return required(clearing);
}

/** The message of an answer, which has it whenever it is one. */
export function required<Message>(message: Message | undefined): Message {
  if (message === undefined) throw new Error("the mesh answered nothing");
  return message;
}

/** How far a proposal has come, as people say it. */
export function stateName({ state }: Pick<Proposal, "state">): string {
  return ProposalStateSchema.value[state]?.localName ?? String(state);
}

/** A state by its name, of either case; a Problem if there is none of it. */
export function parseStateName(name: string): ProposalState {
  const value = ProposalStateSchema.values.find(
    ({ localName, number }) => number !== 0 && localName === name.toUpperCase(),
  );
  if (value !== undefined) return value.number as ProposalState;
  const names = ProposalStateSchema.values.slice(1).map(({ localName }) => localName.toLowerCase());
  throw new Problem(`"${name}" is no state: there are ${names.join(", ")}`);
}

/** A proposal in lines: what it moves, how far it is, who has said what. `names`: of approvers, by address. */
export function proposalLines(proposal: Proposal, names: ReadonlyMap<string, string>): string[] {
  const nameOf = (address: string) => names.get(address) ?? address;
  const account = (id: string) => findChartAccount(BigInt(id))?.name ?? `wallet account ${id}`;
  const { intent, demands, approvals } = proposal;
  return [
    `${proposal.intentId}  ${stateName(proposal)}, proposed by ${proposal.proposer}`,
    ...(intent?.postings ?? []).map(
      ({ debitAccountId, creditAccountId, amount, ledger, code }) =>
        `  ${postingName(code)}  ${money(amount, ledger)}  ${account(debitAccountId)} → ${account(creditAccountId)}`,
    ),
    ...(intent?.reference ? [`  reference: ${intent.reference}`] : []),
    ...demands.map(({ rule, needs, approved, approvers }) => {
      return `  ${rule}: ${approved} of ${needs} (any of ${approvers.map(nameOf).join(", ")})`;
    }),
    ...approvals.map(
      ({ approver, decision }) =>
        `  ${nameOf(approver)} ${decision === 1 ? "approved" : "rejected"}`,
    ),
  ];
}

function money(amount: string, ledger: number): string {
  return findAsset(ledger) === undefined ? amount : formatAmount(BigInt(amount), ledger);
}

/** The names of the approvers whose keys lie here, by address. */
export function approverNames(settings: Settings): ReadonlyMap<string, string> {
  return new Map(readApprovers(settings).map(({ name, address }) => [address, name]));
}

/** Does a call, and makes a Problem of its refusal. */
export async function callOrProblem<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    throw new Problem(describeRpcError(error));
  }
}
