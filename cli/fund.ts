import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { formatAmount } from "#common/ledger/assets.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { parseAmount } from "./client/amount.ts";
import { clearIntent } from "./client/clear-intent.ts";
import { errorReason } from "./client/errors.ts";
import { fundingIntent, usd } from "./client/intents.ts";
import { openMesh } from "./client/open-mesh.ts";
import { resolveAddress } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh fund WALLET AMOUNT";

runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  const [name, text] = positionals;
  if (name === undefined || text === undefined || positionals.length > 2)
    throw new Problem(`usage: ${usage}`);
  const settings = readSettings(process.env);
  const wallet = resolveAddress(settings, name);
  const amount = parseAmount(text, usd);
  const mesh = openMesh(settings, { retries: "as told" });
  try {
    await createClient(ClearingService, mesh.transport).openWallet({ wallet, ledger: usd });
    const intent = fundingIntent(amount, wallet, { reference: "development faucet" });
    const clearing = await clearIntent(mesh, intent);
    const ledger = createClient(LedgerService, mesh.transport);
    const { balance } = await ledger.getBalance({ wallet, ledger: usd });
    console.log(
      `funded ${wallet} with ${formatAmount(amount, usd)} by intent ${clearing.intentId}`,
    );
    console.log(`available: ${formatAmount(BigInt(balance?.available ?? "0"), usd)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const reason = errorReason(error) ?? Code[error.code];
    const hint =
      reason === "APPROVAL_REQUIRED"
        ? `; ./mesh propose fund ${text} --wallet ${name} puts it before them`
        : "";
    throw new Problem(`${reason}: ${error.rawMessage}${hint}`);
  }
});
