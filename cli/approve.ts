import { toJsonString } from "@bufbuild/protobuf";
import { ProposalSchema, ProposalState } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import {
  approverNames,
  callOrProblem,
  clearApproved,
  decide,
  proposalLines,
  requireApprover,
} from "./client/approvals.ts";
import { openMesh } from "./client/open-mesh.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh approve INTENT_ID --as APPROVER [--no-clear] [--json]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      as: { type: "string" },
      "no-clear": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
    usage,
  );
  const [intentId] = positionals;
  if (intentId === undefined || values.as === undefined || positionals.length > 1)
    throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const approver = requireApprover(settings, values.as);
  const proposal = await callOrProblem(() => decide(settings, intentId, approver, "APPROVE"));
  if (values.json) console.log(toJsonString(ProposalSchema, proposal, { prettySpaces: 2 }));
  else for (const line of proposalLines(proposal, approverNames(settings))) console.log(line);
  if (proposal.state !== ProposalState.APPROVED || values["no-clear"]) return 0;
  const clearing = await callOrProblem(() => clearApproved(openMesh(settings), proposal));
  if (!values.json) {
    const legs = clearing.transferIds.length;
    console.log(`cleared: ${legs === 1 ? "1 transfer" : `${legs} transfers`}, final`);
  }
  return 0;
});
