import { toJsonString } from "@bufbuild/protobuf";
import type { Decision } from "#common/approval/approval.ts";
import { ProposalSchema, ProposalState } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import { openMesh } from "../client/open-mesh.ts";
import { readArguments } from "../command/command.ts";
import { Problem } from "../command/problem.ts";
import { readSettings } from "../state/settings.ts";
import {
  approverNames,
  callOrProblem,
  clearApproved,
  proposalLines,
  requireApprover,
  sendDecision,
} from "./client.ts";

const usages = {
  APPROVE: "./mesh approve INTENT_ID --as APPROVER [--no-clear] [--json]",
  REJECT: "./mesh reject INTENT_ID --as APPROVER [--json]",
} as const;

/** `./mesh approve` and `./mesh reject`. What is approved by enough is cleared, unless that is not wanted. */
export async function decide(decision: Decision, args: readonly string[]): Promise<number> {
  const usage = usages[decision];
  const { values, positionals } = readArguments(
    {
      as: { type: "string" },
      "no-clear": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
    usage,
    args,
  );
  const [intentId] = positionals;
  if (intentId === undefined || values.as === undefined || positionals.length > 1)
    throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const approver = requireApprover(settings, values.as);
  const proposal = await callOrProblem(() => sendDecision(settings, intentId, approver, decision));
  if (values.json) console.log(toJsonString(ProposalSchema, proposal, { prettySpaces: 2 }));
  else for (const line of proposalLines(proposal, approverNames(settings))) console.log(line);
  if (proposal.state !== ProposalState.APPROVED || values["no-clear"]) return 0;
  const clearing = await callOrProblem(() => clearApproved(openMesh(settings), proposal));
  if (values.json) return 0;
  const legs = clearing.transferIds.length;
  console.log(`cleared: ${legs === 1 ? "1 transfer" : `${legs} transfers`}, final`);
  return 0;
}
