import { createWallet, listWallets, requireWallet } from "./client/wallets.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { table } from "./command/text.ts";
import { readSettings } from "./state/settings.ts";

const usage = "./mesh wallet new [NAME] | show WALLET [--private-key] | list";

runCommand(async () => {
  const { values, positionals } = readArguments(
    { "private-key": { type: "boolean", default: false } },
    usage,
  );
  const [action, name] = positionals;
  const settings = readSettings(process.env);
  if (action === "new") {
    // The address alone, so that a script can take it.
    console.log(createWallet(settings, name).address);
    return 0;
  }
  if (action === "list") {
    console.log(table(listWallets(settings).map((wallet) => [wallet.name, wallet.address])));
    return 0;
  }
  if (action === "show" && name !== undefined) {
    const { privateKey, ...shown } = requireWallet(settings, name);
    console.log(JSON.stringify(values["private-key"] ? { ...shown, privateKey } : shown, null, 2));
    return 0;
  }
  throw new Problem(`usage: ${usage}`);
});
