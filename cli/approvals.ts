import { decide } from "./approvals/decide.ts";
import { listProposals } from "./approvals/list.ts";
import { propose } from "./approvals/propose.ts";
import { runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";

// ./mesh hands four commands to this file, the command first: what they share is one subject.
runCommand(async () => {
  const [command, ...args] = process.argv.slice(2);
  switch (command) {
    case "propose":
      return propose(args);
    case "approve":
      return decide("APPROVE", args);
    case "reject":
      return decide("REJECT", args);
    case "proposals":
      return listProposals(args);
    default:
      throw new Problem("usage: ./mesh propose | approve | reject | proposals (./mesh help)");
  }
});
