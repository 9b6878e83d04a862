// Goal: a proposal has one end, whoever decides at once and whatever dies meanwhile. Method: the real Attestor over PostgreSQL,
// as replicas in this process, and as a process that is killed.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatApproval } from "#common/approval/codec.ts";
import { asError, DomainError } from "#common/domain-error.ts";
import { formatIntent } from "#common/intent/codec.ts";
import type { Intent } from "#common/intent/intent.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { principalKey } from "#common/rpc/access/principal.ts";
import type { UnaryContext } from "#common/rpc/unary-context.ts";
import {
  GetProposalRequestSchema,
  ListProposalsRequestSchema,
  ProposeIntentRequestSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ProposalState } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import { createProposalMethods } from "../../services/attestor/codec.ts";
import { attestorConfig } from "../../services/attestor/config.ts";
import { type AttestorDeps, createAttestorDeps } from "../../services/attestor/deps.ts";
import { createLocalKeys } from "../../services/attestor/drivers/local-keys.ts";
import type { JudgedProposal } from "../../services/attestor/proposals.ts";
import type { SigningKeys } from "../../services/attestor/signing-keys.ts";
import {
  type ApprovalFields,
  approve,
  approvers,
  policyText,
  stranger,
} from "../support/approval/approvals.ts";
import { startAttestorProcess } from "../support/approval/attestor-process.ts";
import {
  alice,
  attestorKey,
  digestIntent,
  funding,
  houseIntentOf,
  intentOf,
  type TestKey,
  testDomain,
} from "../support/intents/intents.ts";
import { openDatabase } from "../support/postgres/database.ts";
import { persist } from "../support/postgres/persist.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { createTokenIssuer } from "../support/rpc/token-issuer.ts";

const [a, b, c] = approvers;
const treasurer = { scopes: new Set(["attest.propose"]), wallet: undefined, subject: "ada" };
const decider = { scopes: new Set(["attest.decide"]), wallet: undefined, subject: "somebody" };
const house = { scopes: new Set(["attest.house"]), wallet: undefined, subject: "house" };

let records: TestDatabase;
let pool: Pool;
let folder: string;
let environment: Record<string, string>;
let replica: AttestorDeps;
let other: AttestorDeps;
let nowMs: () => number;
let aheadMs = 0;
const opened: AttestorDeps[] = [];

beforeAll(async () => {
  nowMs = () => Date.now() + aheadMs;
  records = await openDatabase();
  pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
  folder = await mkdtemp(join(tmpdir(), "sovr-proposals-"));
  await writeFile(
    join(folder, "signers.json"),
    JSON.stringify([{ address: attestorKey.address, activateTime: "2026-01-01T00:00:00Z" }]),
  );
  await writeFile(join(folder, "approvals.json"), policyText());
  environment = {
    SOVR_ENVIRONMENT: "test",
    DATABASE_URL: records.databaseUrl,
    SIGNERS_FILE: join(folder, "signers.json"),
    APPROVALS_PATH: join(folder, "approvals.json"),
    EIP712_VERIFYING_CONTRACT: testDomain.verifyingContract,
    ATTESTOR_PRIVATE_KEY: Buffer.from(attestorKey.privateKey).toString("hex"),
    JWT_JWKS_FILE: join(folder, "jwks.json"),
  };
  replica = await open();
  other = await open();
});

afterAll(async () => {
  await Promise.all(opened.map((deps) => deps.close()));
  await pool?.end();
  await records?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Opens a replica, with keys of its own making if they are given. */
async function open(keys?: SigningKeys): Promise<AttestorDeps> {
  const config = attestorConfig(environment);
  const openKeys = async () => ({ keys: keys ?? localKeys(), close: async () => undefined });
  const deps = await createAttestorDeps(
    { ...config, openKeys },
    { nowMs: () => nowMs(), logger: pino({ level: "silent" }) },
  );
  opened.push(deps);
  return deps;
}

const localKeys = () => createLocalKeys([attestorKey.privateKey]);

const large = (fields: Partial<Intent> = {}) =>
  houseIntentOf({
    issueTime: BigInt(Math.floor(nowMs() / 1_000)),
    postings: [funding(alice.address, 10_001n)],
    ...fields,
  });
const otherUnder = (intentId: string) =>
  large({ intentId, postings: [funding(alice.address, 10_002n)] });
const limit = () => ({ deadlineMs: Date.now() + 60_000 });
const propose = (intent: Intent, deps = replica, validateOnly = false) =>
  deps.proposals.propose({ intent, walletSignature: "", validateOnly, caller: treasurer });
const decideOn = (
  intent: Intent,
  key: TestKey,
  fields: ApprovalFields = {},
  deps = replica,
  caller = decider,
) =>
  deps.proposals.decide({
    intentId: intent.intentId,
    approval: approve(digestIntent(intent), key, fields),
    caller,
    limit: limit(),
  });
const withdraw = (intent: Intent, deps = replica) =>
  deps.proposals.withdraw(intent.intentId, treasurer);
const stateIn = async (intent: Intent) =>
  (await replica.proposals.get(intent.intentId)).proposal.state;
const attestAlone = (intent: Intent, validateOnly = false) =>
  replica.attestor.attest({
    intent,
    walletSignature: "",
    validateOnly,
    caller: house,
    limit: limit(),
  });

async function refusal(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(() => undefined, asError);
  return error instanceof DomainError ? { kind: error.kind, ...error.metadata } : error;
}

describe("a proposal", () => {
  it("waits, and the deciding approval has it signed with those that counted", async () => {
    const intent = large();
    const proposed = await propose(intent);
    expect(proposed).toMatchObject({
      proposal: { state: "OPEN", proposer: "ada", signer: attestorKey.address, decisions: [] },
      demands: [{ rule: "FUNDING_FROM_CASH", needs: 2, approved: 0 }],
    });
    const first = await decideOn(intent, a);
    expect(first.proposal).toMatchObject({ state: "OPEN", attestation: undefined });
    expect(first.demands).toMatchObject([{ approved: 1 }]);
    const { proposal } = await decideOn(intent, b, {}, other);
    expect(proposal.state).toBe("APPROVED");
    const { attestation } = proposal;
    expect(attestation?.approvals?.map(({ approver }) => approver).sort()).toEqual(
      [a.address, b.address].sort(),
    );
    expect(recoverAddress(digestIntent(intent), attestation?.signature ?? "")).toBe(
      attestorKey.address,
    );
    expect(await attestAlone(intent)).toEqual(attestation);
    expect((await propose(intent, other)).proposal).toEqual(proposal);
    expect((await replica.proposals.get(intent.intentId)).proposal).toEqual(proposal);
  });

  it("takes one decision an address, and each once", async () => {
    const intent = large();
    await propose(intent);
    const approval = approve(digestIntent(intent), a);
    const request = { intentId: intent.intentId, approval, caller: decider, limit: limit() };
    for (let turn = 0; turn < 3; turn += 1) await replica.proposals.decide(request);
    const later = await decideOn(intent, a, { expireTime: approval.expireTime + 60n });
    expect(later.proposal.decisions).toEqual([approval]);
    expect(later.proposal.state).toBe("OPEN");
  });

  it("is not decided by strangers, nor by the proposer, nor out of time, nor for another intent", async () => {
    const intent = large();
    await propose(intent);
    const seconds = BigInt(Math.floor(nowMs() / 1_000));
    const state = (name: string, key: TestKey) => ({
      kind: "APPROVAL_INVALID",
      approver: key.address,
      state: name,
    });
    expect(await refusal(decideOn(intent, stranger))).toEqual(state("UNKNOWN", stranger));
    expect(await refusal(decideOn(intent, a, {}, replica, { ...decider, subject: "ada" }))).toEqual(
      state("PROPOSER", a),
    );
    const ended = { issueTime: seconds - 100n, expireTime: seconds };
    expect(await refusal(decideOn(intent, a, ended))).toEqual(state("EXPIRED", a));
    const ahead = { issueTime: seconds + 1_000n };
    expect(await refusal(decideOn(intent, a, ahead))).toEqual(state("NOT_YET", a));
    const forged = { ...approve(digestIntent(intent), b), approver: a.address };
    const { intentId } = intent;
    const decided = { intentId, caller: decider, limit: limit() };
    expect(await refusal(replica.proposals.decide({ ...decided, approval: forged }))).toEqual(
      state("SIGNATURE", a),
    );
    const foreign = approve(digestIntent(large()), a);
    expect(await refusal(replica.proposals.decide({ ...decided, approval: foreign }))).toEqual(
      state("SIGNATURE", a),
    );
    expect((await replica.proposals.get(intentId)).proposal.decisions).toEqual([]);
  });

  it("of somebody who approves is not approved by himself", async () => {
    const intent = large();
    await replica.proposals.propose({
      intent,
      walletSignature: "",
      validateOnly: false,
      caller: { ...treasurer, subject: "approver-1" },
    });
    expect(await refusal(decideOn(intent, a))).toMatchObject({ state: "PROPOSER" });
    expect((await decideOn(intent, a, { decision: "REJECT" })).proposal.state).toBe("REJECTED");
  });

  it("that one rejects is never signed, whoever approves then, and however one asks", async () => {
    const intent = large();
    await propose(intent);
    await decideOn(intent, a);
    expect((await decideOn(intent, c, { decision: "REJECT" })).proposal.state).toBe("REJECTED");
    const closed = { kind: "PROPOSAL_CLOSED", intentId: intent.intentId, state: "REJECTED" };
    expect(await refusal(decideOn(intent, b))).toEqual(closed);
    expect(await refusal(withdraw(intent))).toEqual(closed);
    const approvals = [a, b].map((key) => approve(digestIntent(intent), key));
    const asked = { intent, approvals, walletSignature: "", caller: house, limit: limit() };
    for (const validateOnly of [false, true]) {
      expect(await refusal(replica.attestor.attest({ ...asked, validateOnly }))).toEqual(closed);
    }
  });

  it("stays the approvers' also where one could have it attested alone", async () => {
    const intent = large({ postings: [funding(alice.address, 1n)] });
    await propose(intent);
    expect(await refusal(attestAlone(intent))).toMatchObject({
      kind: "PROPOSAL_CLOSED",
      state: "OPEN",
    });
    await withdraw(intent);
    expect(await refusal(attestAlone(intent))).toMatchObject({ state: "WITHDRAWN" });
  });

  it("is taken back by who proposed it, and by nobody else", async () => {
    const intent = large();
    await propose(intent);
    const { intentId } = intent;
    const another = { ...treasurer, subject: "eve" };
    expect(await refusal(replica.proposals.withdraw(intentId, another))).toMatchObject({
      kind: "SCOPE_MISSING",
    });
    expect((await withdraw(intent)).proposal.state).toBe("WITHDRAWN");
    expect((await withdraw(intent, other)).proposal.state).toBe("WITHDRAWN");
    expect(await refusal(decideOn(intent, a))).toMatchObject({ kind: "PROPOSAL_CLOSED" });
  });

  it("is for what a rule of the policy looks at, and has an id of its own", async () => {
    const ofWallet = intentOf({ issueTime: BigInt(Math.floor(nowMs() / 1_000)) });
    expect(await refusal(propose(ofWallet))).toMatchObject({ kind: "NOT_PROPOSABLE" });
    const small = large({ postings: [funding(alice.address, 1n)] });
    await attestAlone(small);
    for (const validateOnly of [true, false]) {
      expect(await refusal(propose(small, replica, validateOnly))).toMatchObject({
        kind: "NOT_PROPOSABLE",
      });
      const { intentId } = small;
      expect(await refusal(propose(otherUnder(intentId), replica, validateOnly))).toMatchObject({
        kind: "INTENT_ID_REUSED",
      });
    }
    const open = large();
    await propose(open, replica, true);
    expect(await refusal(replica.proposals.get(open.intentId))).toMatchObject({
      kind: "PROPOSAL_NOT_FOUND",
    });
    await propose(open);
    expect(await refusal(propose(otherUnder(open.intentId)))).toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
  });

  it("expires with its intent, and an approval that has expired is followed by another", async () => {
    const seconds = BigInt(Math.floor(nowMs() / 1_000));
    const intent = large();
    await propose(intent);
    await decideOn(intent, a, { issueTime: seconds - 1n, expireTime: seconds + 100n });
    try {
      aheadMs = 200_000;
      const second = await decideOn(intent, b);
      expect(second.proposal.state).toBe("OPEN");
      expect(second.demands).toMatchObject([{ approved: 1 }]);
      const { proposal } = await decideOn(intent, a);
      expect(proposal.state).toBe("APPROVED");
      expect(proposal.counted).toHaveLength(2);
      const late = large();
      await propose(late);
      aheadMs = 200_000 + 3_700_000;
      expect(await refusal(decideOn(late, a))).toMatchObject({ kind: "INTENT_EXPIRED" });
      expect(await refusal(withdraw(late))).toMatchObject({ state: "EXPIRED" });
    } finally {
      aheadMs = 0;
    }
  });
});

describe("at once", () => {
  it("two deciders end it once, over two replicas", async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      const intent = large();
      await propose(intent);
      await decideOn(intent, a);
      const ends = await Promise.all([
        decideOn(intent, b, {}, replica).catch(asError),
        decideOn(intent, c, {}, other).catch(asError),
      ]);
      const signed = ends.filter((end): end is JudgedProposal => !(end instanceof Error));
      expect(signed).toHaveLength(1);
      expect(ends.find((end) => end instanceof Error)).toMatchObject({ kind: "PROPOSAL_CLOSED" });
      const { proposal } = await other.proposals.get(intent.intentId);
      expect(proposal.attestation).toEqual(signed[0]?.proposal.attestation);
    }
  });

  it("an approval, a rejection and a withdrawal leave one end, and everybody is told it", async () => {
    const seen = new Set<string>();
    for (let turn = 0; turn < 8; turn += 1) {
      const intent = large();
      await propose(intent);
      await decideOn(intent, a);
      await Promise.allSettled([
        decideOn(intent, b, {}, replica),
        decideOn(intent, c, { decision: "REJECT" }, other),
        withdraw(intent, turn % 2 ? replica : other),
      ]);
      const end = await stateIn(intent);
      seen.add(end);
      expect(["APPROVED", "REJECTED", "WITHDRAWN"]).toContain(end);
      const { rowCount } = await pool.query(
        "select from attestation_signature where intent_id = $1",
        [intent.intentId],
      );
      expect(rowCount).toBe(end === "APPROVED" ? 1 : 0);
    }
    expect(seen.size).toBeGreaterThan(0);
  });

  it("who proposes and who attests the same have one of the two", async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      const intent = large({ postings: [funding(alice.address, 1n)] });
      const [proposed, attested] = await Promise.allSettled([
        propose(intent, other),
        attestAlone(intent),
      ]);
      const won = [proposed, attested].filter(({ status }) => status === "fulfilled");
      expect(won).toHaveLength(1);
    }
  });
});

describe("lists", () => {
  it("show the newest first, page by page, by state, each once", async () => {
    const intents = Array.from({ length: 5 }, () => large());
    for (const intent of intents) await propose(intent);
    const [rejected] = intents;
    if (rejected === undefined) throw new Error("five were proposed");
    await decideOn(rejected, a, { decision: "REJECT" });
    const page = await replica.proposals.list({ state: undefined, before: undefined, limit: 3 });
    const before = page.at(-1)?.proposal.number;
    const next = await replica.proposals.list({ state: undefined, before, limit: 2 });
    const ids = [...page, ...next].map(({ proposal }) => proposal.intent.intentId);
    expect(ids).toEqual(intents.map(({ intentId }) => intentId).reverse());
    const ofState = async (state: "OPEN" | "REJECTED" | "EXPIRED") =>
      (await replica.proposals.list({ state, before: undefined, limit: 1_000 })).map(
        ({ proposal }) => proposal.intent.intentId,
      );
    expect(await ofState("REJECTED")).toContain(rejected.intentId);
    expect(await ofState("OPEN")).not.toContain(rejected.intentId);
    try {
      aheadMs = 3_700_000;
      expect(await ofState("EXPIRED")).toContain(intents[1]?.intentId);
      expect(await ofState("OPEN")).not.toContain(intents[1]?.intentId);
    } finally {
      aheadMs = 0;
    }
  });
});

describe("over the wire", () => {
  const context = {
    values: createContextValues().set(principalKey, {
      ...treasurer,
      expiresAtMs: Number.MAX_VALUE,
    }),
  } as UnaryContext;

  it("lists go on by tokens, each good for its own list", async () => {
    const methods = createProposalMethods(replica);
    for (let turn = 0; turn < 3; turn += 1) await propose(large());
    const { REJECTED, UNSPECIFIED } = ProposalState;
    const ask = async (pageSize: number, pageToken = "", state: ProposalState = UNSPECIFIED) =>
      await methods.listProposals(
        create(ListProposalsRequestSchema, { pageSize, pageToken, state }),
        context,
      );
    const all = (await ask(1_000)).proposals ?? [];
    const ids: string[] = [];
    let pageToken = "";
    do {
      const page = await ask(7, pageToken);
      ids.push(...(page.proposals ?? []).map(({ intentId = "" }) => intentId));
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "");
    expect(ids).toEqual(all.map(({ intentId }) => intentId));
    const { nextPageToken } = await ask(1);
    expect(await refusal(ask(1, nextPageToken, REJECTED))).toMatchObject({
      kind: "INVALID_FIELD",
      field: "page_token",
    });
  });

  it("a proposal shows the intent, what is asked for, what was said, and the attestation", async () => {
    const methods = createProposalMethods(replica);
    const intent = large();
    const { intentId } = intent;
    const asked = create(ProposeIntentRequestSchema, { intent: formatIntent(intent) });
    const proposed = await methods.proposeIntent(asked, context);
    expect(proposed.proposal).toMatchObject({
      intentId,
      digest: digestIntent(intent),
      state: ProposalState.OPEN,
      proposer: "ada",
      signer: attestorKey.address,
      approvals: [],
      demands: [{ rule: "FUNDING_FROM_CASH", needs: 2, approved: 0 }],
    });
    for (const key of [a, b]) await decideOn(intent, key);
    const request = create(GetProposalRequestSchema, { intentId });
    const { proposal } = await methods.getProposal(request, context);
    expect(proposal).toMatchObject({
      state: ProposalState.APPROVED,
      intent: formatIntent(intent),
      demands: [{ approved: 2 }],
      attestation: { digest: digestIntent(intent), signer: attestorKey.address },
    });
    expect(proposal?.attestation?.approvals).toEqual(proposal?.approvals);
  });
});

describe("what dies", () => {
  it("between the decision and the signature leaves it to the next to sign", async () => {
    let wasAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      wasAsked = resolve;
    });
    // It has stored the decision, and signs never.
    const dying = await open({
      ...localKeys(),
      sign: () => {
        wasAsked();
        return new Promise(() => undefined);
      },
    });
    const intent = large();
    await propose(intent);
    await decideOn(intent, a);
    void decideOn(intent, b, {}, dying).catch(() => undefined);
    await asked;
    expect(await stateIn(intent)).toBe("APPROVED");
    expect(await refusal(decideOn(intent, c))).toMatchObject({ state: "APPROVED" });
    // Those that live sweep every few seconds; whoever asks again has it signed at once.
    await replica.proposals.signApproved(limit());
    const { proposal } = await other.proposals.get(intent.intentId);
    expect(proposal.attestation?.approvals).toHaveLength(2);
    await other.proposals.signApproved(limit());
    expect((await replica.proposals.get(intent.intentId)).proposal).toEqual(proposal);
  });

  it("by kill -9 in the middle of decisions leaves each with one end", async () => {
    const issuer = await createTokenIssuer();
    try {
      const process = await startAttestorProcess(environment, issuer);
      const proposer = process.connect("attest.propose", "ada");
      const deciding = process.connect("attest.decide", randomUUID());
      const intents = Array.from({ length: 24 }, () => large());
      for (const intent of intents) await proposer.proposeIntent({ intent: formatIntent(intent) });
      const decisions = intents.flatMap((intent) =>
        [a, b].map((key) =>
          deciding.decideProposal({
            intentId: intent.intentId,
            approval: formatApproval(approve(digestIntent(intent), key)),
          }),
        ),
      );
      const ended = Promise.allSettled(decisions);
      await Promise.any(decisions);
      await process.kill();
      const answers = await ended;

      const told = answers.flatMap((answer) =>
        answer.status === "fulfilled" && answer.value.proposal?.state === ProposalState.APPROVED
          ? [answer.value.proposal]
          : [],
      );
      for (const intent of intents) {
        // Whoever was not answered says it again, and it ends as if nothing had been.
        for (const key of [a, b]) await persist(() => decideOn(intent, key));
        const { proposal } = await other.proposals.get(intent.intentId);
        expect(proposal.state).toBe("APPROVED");
        expect(proposal.attestation?.approvals).toHaveLength(2);
        const before = told.find(({ intentId }) => intentId === intent.intentId)?.attestation;
        if (before !== undefined) {
          expect(proposal.attestation?.signature).toBe(before.signature);
          expect(proposal.counted.map(formatApproval)).toEqual(before.approvals);
        }
      }
    } finally {
      issuer[Symbol.dispose]();
    }
  });
});

it("a thousand wait at once, and no more", async () => {
  await pool.query(
    `with intent as (
       insert into attestation_intent (intent_id, digest)
       select gen_random_uuid(), decode(repeat('ab', 32), 'hex') from generate_series(1, 1000)
       returning intent_id)
     insert into attestation_proposal (intent_id, intent, proposer, signer, expire_time)
     select intent_id, '{}', 'many', decode(repeat('ab', 20), 'hex'), 99999999999 from intent`,
  );
  const one = large();
  expect(await refusal(propose(one))).toEqual({
    kind: "LIMIT_EXCEEDED",
    limit: "1000",
    what: "open proposals",
  });
  await pool.query(
    "update attestation_proposal set state = 'WITHDRAWN', close_time = now() where proposer = 'many'",
  );
  expect((await propose(one)).proposal.state).toBe("OPEN");
});
