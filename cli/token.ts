import { parseScopes, scopesOfRole, signToken, tokenSecondsMax } from "./client/token.ts";
import { resolveAddress } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { readSettings } from "./state/settings.ts";

const usage =
  "./mesh token [--role ROLE | --scope SCOPE…] [--wallet WALLET | --merchant ID] [--ttl SECONDS]";

runCommand(async () => {
  const { values } = readArguments(
    {
      scope: { type: "string", multiple: true, default: [] },
      role: { type: "string" },
      wallet: { type: "string" },
      merchant: { type: "string" },
      ttl: { type: "string", default: String(tokenSecondsMax) },
    },
    usage,
  );
  const seconds = /^[0-9]{1,4}$/.test(values.ttl) ? Number(values.ttl) : 0;
  if (seconds < 1 || seconds > tokenSecondsMax) {
    throw new Problem(`--ttl ${values.ttl}: give seconds from 1 to ${tokenSecondsMax}`);
  }
  const settings = readSettings(process.env);
  const wallet = values.wallet === undefined ? undefined : resolveAddress(settings, values.wallet);
  const named = parseScopes(values.scope);
  const { role, merchant } = values;
  if (wallet !== undefined && merchant !== undefined) {
    throw new Problem("a token is bound to a wallet or to a merchant, not to both");
  }
  const boundBy = wallet !== undefined ? "wallet" : merchant !== undefined ? "merchant" : undefined;
  if (role !== undefined && named !== undefined) {
    throw new Problem("give --role or --scope: a role is its scopes");
  }
  const scopes = role === undefined ? named : scopesOfRole(role, boundBy);
  const subject = wallet ?? merchant ?? role ?? "developer";
  console.log(await signToken(settings, { scopes, wallet, merchant, subject, seconds }));
  return 0;
});
