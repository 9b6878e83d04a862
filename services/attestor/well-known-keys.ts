import { HDNodeWallet, Mnemonic } from "ethers";

/** The words from which development chains make their accounts: hardhat and anvil, and ganache. */
const wellKnownWords = [
  "test test test test test test test test test test test junk",
  "myth like bonus scare over problem client lizard pioneer submit female collect",
];
/** As many as such a chain makes. */
const accountsMax = 20;

/** The addresses, EIP-55, whose private keys everybody knows. Takes some 100 ms. */
export function wellKnownAddresses(): ReadonlySet<string> {
  const addresses = new Set<string>();
  for (const words of wellKnownWords) {
    const parent = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(words), "m/44'/60'/0'/0");
    for (let index = 0; index < accountsMax; index += 1) {
      addresses.add(parent.deriveChild(index).address);
    }
  }
  return addresses;
}
