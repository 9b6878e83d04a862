import { toJsonString } from "@bufbuild/protobuf";
import { ProposalSchema } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import {
  approverNames,
  callOrProblem,
  decide,
  proposalLines,
  requireApprover,
} from "./client/approvals.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh reject INTENT_ID --as APPROVER [--json]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    { as: { type: "string" }, json: { type: "boolean", default: false } },
    usage,
  );
  const [intentId] = positionals;
  if (intentId === undefined || values.as === undefined || positionals.length > 1)
    throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const approver = requireApprover(settings, values.as);
  const proposal = await callOrProblem(() => decide(settings, intentId, approver, "REJECT"));
  if (values.json) console.log(toJsonString(ProposalSchema, proposal, { prettySpaces: 2 }));
  else for (const line of proposalLines(proposal, approverNames(settings))) console.log(line);
  return 0;
});
