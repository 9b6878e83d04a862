import { toJsonString } from "@bufbuild/protobuf";
import {
  GetProposalResponseSchema,
  ListProposalsResponseSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ProposalState } from "#gen/sovr/attestor/v1/proposal_pb.ts";
import { readArguments } from "../command/command.ts";
import { Problem } from "../command/problem.ts";
import { readSettings } from "../state/settings.ts";
import {
  approverNames,
  asTreasurer,
  callOrProblem,
  parseStateName,
  proposalLines,
  required,
} from "./client.ts";

const usage =
  "./mesh proposals [INTENT_ID | --state open|approved|rejected|withdrawn|expired] [--json]";

/** The newest; whoever wants more pages through ListProposals. */
const shownMax = 100;

/** `./mesh proposals`. */
export async function listProposals(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(
    { state: { type: "string" }, json: { type: "boolean", default: false } },
    usage,
    args,
  );
  const [intentId] = positionals;
  if (positionals.length > 1 || (intentId !== undefined && values.state !== undefined))
    throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const attestor = asTreasurer(settings);
  const names = approverNames(settings);
  if (intentId !== undefined) {
    const found = await callOrProblem(() => attestor.getProposal({ intentId }));
    if (values.json)
      console.log(toJsonString(GetProposalResponseSchema, found, { prettySpaces: 2 }));
    else for (const line of proposalLines(required(found.proposal), names)) console.log(line);
    return 0;
  }
  const state =
    values.state === undefined ? ProposalState.UNSPECIFIED : parseStateName(values.state);
  const list = await callOrProblem(() => attestor.listProposals({ pageSize: shownMax, state }));
  if (values.json) {
    console.log(toJsonString(ListProposalsResponseSchema, list, { prettySpaces: 2 }));
    return 0;
  }
  if (list.proposals.length === 0) console.log("no proposals");
  for (const proposal of list.proposals)
    for (const line of proposalLines(proposal, names)) console.log(line);
  if (list.nextPageToken !== "")
    console.log(`… and older ones: only the newest ${shownMax} are shown`);
  return 0;
}
