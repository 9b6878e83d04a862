import type { InterfaceAbi } from "ethers";
import poscrArtifact from "./compiled/POSCR.json" with { type: "json" };
import sfiatArtifact from "./compiled/SFIAT.json" with { type: "json" };

/** A compiled contract, as `./mesh generate` writes it. */
export interface ContractArtifact {
  /** The compiler's version. */
  readonly compiler: string;
  /** keccak-256 of `bytecode`: 32 bytes as lower-case `0x` hex. */
  readonly bytecodeHash: string;
  readonly abi: InterfaceAbi;
  /** What creates it, without the constructor's arguments: `0x` hex. */
  readonly bytecode: string;
  /** What then stands on the chain, with zeros where the constructor fills in: `0x` hex. */
  readonly deployedBytecode: string;
  /** Where the constructor fills in, in bytes. */
  readonly immutables: readonly { readonly start: number; readonly length: number }[];
}

/** The token of the ledger's asset 2. */
export const sfiat: ContractArtifact = sfiatArtifact;

/** What stands for POSCR in development and tests. */
export const poscr: ContractArtifact = poscrArtifact;

/** Whether the code at an address (`0x` hex) is this contract's, whatever its constructor was given. */
export function isCodeOf(artifact: ContractArtifact, code: string): boolean {
  // A wrong length first: in a shorter code there is nothing to blank.
  return (
    code.length === artifact.deployedBytecode.length &&
    blank(artifact, code) === artifact.deployedBytecode
  );
}

function blank({ immutables }: ContractArtifact, code: string): string {
  const bytes = Buffer.from(code.slice(2), "hex");
  for (const { start, length } of immutables) bytes.fill(0, start, start + length);
  return `0x${bytes.toString("hex")}`;
}
