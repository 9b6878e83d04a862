import { readFileSync } from "node:fs";
import { join } from "node:path";
import { keccak256 } from "ethers";
import solc from "solc";

/** The contracts of this folder, each in a file of its name. */
const names = ["POSCR", "SFIAT"] as const;

/** From the root, and in the metadata that explorers verify by. */
const pathOf = (name: string) => `contracts/src/${name}.sol`;

/**
 * How they are compiled, which is part of what they are: another setting is another bytecode. Cancun, because OpenZeppelin's
 * libraries copy memory by its instruction; Polygon has had it since 2024.
 */
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  outputSelection: {
    "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode"] },
  },
} as const;

interface CompilerOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts?: Readonly<Record<string, Readonly<Record<string, CompiledByName>>>>;
}

interface CompiledByName {
  readonly abi: readonly unknown[];
  readonly evm: {
    readonly bytecode: { readonly object: string };
    readonly deployedBytecode: {
      readonly object: string;
      readonly immutableReferences: Readonly<
        Record<string, readonly { readonly start: number; readonly length: number }[]>
      >;
    };
  };
}

/**
 * Compiles the contracts with the pinned compiler and OpenZeppelin's sources, both from node_modules: no network. Returns
 * what `./mesh generate` writes, by path from the root. Throws Error with what the compiler says, warnings too.
 */
export function compileContracts(root: string): Readonly<Record<string, string>> {
  const readImport = (path: string): { contents: string } | { error: string } => {
    try {
      return { contents: readFileSync(join(root, "node_modules", path), "utf8") };
    } catch (error) {
      return { error: String(error) };
    }
  };
  const sources = Object.fromEntries(
    names.map((name) => [
      pathOf(name),
      { content: readFileSync(join(root, pathOf(name)), "utf8") },
    ]),
  );
  const input = JSON.stringify({ language: "Solidity", sources, settings });
  const output = JSON.parse(solc.compile(input, { import: readImport })) as CompilerOutput;
  if (output.errors !== undefined && output.errors.length > 0) {
    throw new Error(output.errors.map(({ formattedMessage }) => formattedMessage).join("\n"));
  }
  return Object.fromEntries(
    names.map((name) => {
      const compiled = output.contracts?.[pathOf(name)]?.[name];
      if (compiled === undefined) throw new Error(`the compiler gave no ${name}`);
      return [`contracts/compiled/${name}.json`, artifactText(compiled, solc.version())];
    }),
  );
}

function artifactText({ abi, evm }: CompiledByName, compiler: string): string {
  const bytecode = `0x${evm.bytecode.object}`;
  const artifact = {
    compiler,
    // The pin: who reads a difference in review sees it here.
    bytecodeHash: keccak256(bytecode),
    abi,
    bytecode,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    // What the constructor fills in; the same in two deployments of the same code only by chance.
    immutables: Object.values(evm.deployedBytecode.immutableReferences).flat(),
  };
  return `${JSON.stringify(artifact, null, 2)}\n`;
}
