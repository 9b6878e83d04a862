import { transferId } from "../wallet/ids.ts";
import {
  type Check,
  checkSigner,
  type Evidence,
  names,
  result,
  toldDigests,
} from "./check-entry.ts";

/**
 * Checks an entry of which the mesh shows this wallet only its own legs: that a trusted signer attested the digest, and
 * that the wallet's own rows follow from the intent's id and name that digest. What needs the rest of the intent is said
 * to be not checked.
 */
export function checkMasked({ entry, cleared, domain }: Evidence): Check[] {
  const { intent, attestation } = cleared;
  if (intent === undefined || attestation === undefined) {
    return [{ name: "Evidence", ok: false, says: "Clearing has no intent for this entry." }];
  }
  const { digest, lines, legCount } = entry;
  const why =
    lines.length < legCount
      ? "Not checked: others' legs. They are not this wallet's to see"
      : "Not checked: another's words. The reference is not this wallet's to see";
  const notChecked = (name: string, rest: string): Check => ({
    name,
    ok: undefined,
    unseen: true,
    says: `${why}, ${rest}`,
  });
  const legs = new Set(lines.map(({ leg }) => leg));
  const isOneDigest = toldDigests({ entry, cleared, domain }).every((told) => told === digest);
  return [
    isOneDigest
      ? notChecked(names.digest, "and without them the digest cannot be computed.")
      : { name: names.digest, ok: false, says: "Ledger, Clearing and Attestor tell several." },
    checkSigner(digest, attestation, { domain, intent }),
    notChecked(names.wallet, "and neither is another wallet's signature."),
    {
      name: names.ids,
      ...result(
        lines.length > 0 &&
          entry.intentId === intent.intentId &&
          legs.size === lines.length &&
          lines.every(
            (line) =>
              line.leg < legCount &&
              line.legs === legCount &&
              line.transferId === String(transferId(entry.intentId, line.leg)),
          ),
        {
          good: "Derived here from the intent's id and the leg, each of this wallet's is the row's.",
          bad: "A row has an id that this intent does not derive.",
        },
      ),
    },
    notChecked(names.rows, "and a row alone does not tell what was signed."),
    {
      name: names.prefixes,
      ...result(
        lines.length > 0 && lines.every((line) => line.digestPrefix === digest.slice(0, 50)),
        {
          good: "192 bits of it stand in the ledger itself, in each row of this wallet's.",
          bad: "A row carries the digest of another intent.",
        },
      ),
    },
  ];
}
