import type { DemoWallet } from "../wallet/demo-wallet.ts";
import { postJson } from "./post-json.ts";
import type { Token } from "./sign-in.ts";

/** A token of a development mesh, for whoever holds a wallet's key: no session, and nobody to sign in. */
export async function oneClickToken(wallet: DemoWallet): Promise<Token> {
  const challenge = await postJson("/dev/challenge", { wallet: wallet.address });
  const answer = await postJson("/dev/token", {
    nonce: String(challenge["nonce"]),
    signature: wallet.signText(String(challenge["message"])),
  });
  return { token: String(answer["token"]), expiresAtMs: Number(answer["expiresAtMs"]) };
}
