// Writes the golden vectors beside this file. Everything is computed with ethers and plain hashes, and nothing with
// the code that the vectors judge. Run it with `node test/vectors/generate.ts`; the keys are fixed, so that it
// writes the same bytes every time.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import {
  concat,
  getAddress,
  id,
  keccak256,
  SigningKey,
  TypedDataEncoder,
  toBeHex,
  Wallet,
} from "ethers";

/** The published example of EIP-712, with the values that its authors computed. */
const mailExample = {
  privateKey: id("cow"),
  address: "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
  domain: {
    name: "Ether Mail",
    version: "1",
    chainId: "1",
    verifyingContract: "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
  },
  types: {
    Person: [
      { name: "name", type: "string" },
      { name: "wallet", type: "address" },
    ],
    Mail: [
      { name: "from", type: "Person" },
      { name: "to", type: "Person" },
      { name: "contents", type: "string" },
    ],
  },
  message: {
    from: { name: "Cow", wallet: "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
    to: { name: "Bob", wallet: "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
    contents: "Hello, Bob!",
  },
  domainSeparator: "0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f",
  structHash: "0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e",
  digest: "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
  signature:
    "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c",
};

const typeString =
  "ClearingIntent(string intentId,string phase,address wallet,string merchantId,string reference,Posting[] postings,bytes32 corrects,string pendingIntentId,uint32 timeoutSeconds,uint64 issuedAt,uint64 expiresAt)Posting(uint128 debitAccountId,uint128 creditAccountId,uint128 amount,uint32 ledger,uint16 code)";

const environment = "development";
const clusterId = "0";

const domain = {
  name: "SOVR Attestor",
  version: "1",
  chainId: "31337",
  verifyingContract: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  salt: id(`sovr/${environment}/${clusterId}`),
};

/** The types, read from the type string, so that the two cannot differ. */
const types = Object.fromEntries(
  [...typeString.matchAll(/(\w+)\(([^)]*)\)/g)].map(([, name = "", fields = ""]) => [
    name,
    fields.split(",").map((field) => {
      const [type = "", fieldName = ""] = field.split(" ");
      return { name: fieldName, type };
    }),
  ]),
);

const keys = {
  wallet: id("sovr/test/wallet"),
  otherWallet: id("sovr/test/other-wallet"),
  attestor: id("sovr/test/attestor"),
};
const wallet = new Wallet(keys.wallet).address;
const otherWallet = new Wallet(keys.otherWallet).address;
const zeroWallet = `0x${"00".repeat(20)}`;
const u128Max = ((1n << 128n) - 1n).toString();

/** The proto JSON of an intent. Absent fields are empty. */
interface IntentJson {
  readonly intentId: string;
  readonly phase: string;
  readonly wallet: string;
  readonly merchantId?: string;
  readonly reference?: string;
  readonly postings: readonly PostingJson[];
  readonly corrects?: string;
  readonly pendingIntentId?: string;
  readonly timeoutSeconds?: number;
  readonly issueTime: string;
  readonly expireTime: string;
}

interface PostingJson {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: string;
  readonly ledger: number;
  readonly code: number;
}

function posting(
  debitAccountId: string,
  creditAccountId: string,
  amount: string,
  code: number,
  ledger = 1,
): PostingJson {
  return { debitAccountId, creditAccountId, amount, ledger, code };
}

const milk = posting(walletAccount(wallet, 1).accountId, "4000001", "350", 2);
const eggs = posting(walletAccount(wallet, 1).accountId, "4000002", "250", 2);
const bread = posting(walletAccount(wallet, 1).accountId, "4000003", "150", 2);
const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 0x20 + i));

/** What the intents have in common. `number` makes the id. */
function intent(number: number, fields: Partial<IntentJson>): IntentJson {
  const tail = number.toString(16).padStart(12, "0");
  return {
    intentId: `019abcde-0000-7000-8000-${tail}`,
    phase: "PHASE_IMMEDIATE",
    wallet,
    merchantId: "market-1",
    reference: `order-${number}`,
    postings: [milk],
    issueTime: "2026-11-24T12:00:00Z",
    expireTime: "2026-11-24T13:00:00Z",
    ...fields,
  };
}

const pending = intent(5, { phase: "PHASE_PENDING", timeoutSeconds: 900 });

const intents: Readonly<Record<string, IntentJson>> = {
  "purchase of milk": intent(1, {}),
  "purchase of the bundle: three postings": intent(2, { postings: [milk, eggs, bread] }),
  "card purchase: funding before three purchases": intent(3, {
    wallet: zeroWallet,
    postings: [posting("3000001", walletAccount(wallet, 1).accountId, "750", 1), milk, eggs, bread],
  }),
  "house funding: zero wallet, empty strings": intent(4, {
    wallet: zeroWallet,
    merchantId: "",
    reference: "",
    postings: [posting("1000002", walletAccount(wallet, 1).accountId, "2000", 1)],
  }),
  "pending for fifteen minutes": pending,
  "pending for ever": intent(6, { phase: "PHASE_PENDING" }),
  "post of a part": intent(7, {
    phase: "PHASE_POST_PENDING",
    pendingIntentId: pending.intentId,
    postings: [{ ...milk, amount: "349" }],
  }),
  "post of nothing": intent(8, {
    phase: "PHASE_POST_PENDING",
    pendingIntentId: pending.intentId,
    postings: [{ ...milk, amount: "0" }],
  }),
  void: intent(9, { phase: "PHASE_VOID_PENDING", pendingIntentId: pending.intentId }),
  "refund that corrects a purchase": intent(10, {
    postings: [posting("4000001", walletAccount(wallet, 1).accountId, "350", 5)],
    corrects: digestOf(intent(1, {})),
  }),
  "64 postings": intent(11, {
    postings: Array.from({ length: 64 }, (_, i) => ({ ...milk, amount: String(i + 1) })),
  }),
  "the largest numbers": intent(12, {
    postings: [posting(u128Max, `${(1n << 128n) - 2n}`, u128Max, 65_535, 4_294_967_295)],
    phase: "PHASE_PENDING",
    timeoutSeconds: 31_536_000,
    issueTime: "9999-12-30T23:59:59Z",
    expireTime: "9999-12-31T23:59:59Z",
  }),
  "the smallest numbers": intent(13, {
    intentId: "00000000-0000-7000-8000-000000000000",
    postings: [posting("0", "1", "0", 1)],
    issueTime: "1970-01-01T00:00:00Z",
    expireTime: "1970-01-01T00:00:01Z",
  }),
  "every printable character, at full length": intent(14, {
    merchantId: printable,
    reference: `${printable}${printable}`.slice(0, 128),
  }),
  "wallet to wallet, 1 POSCR of 18 decimals": intent(15, {
    postings: [
      posting(
        walletAccount(wallet, 3).accountId,
        walletAccount(otherWallet, 3).accountId,
        "1000000000000000000",
        6,
        3,
      ),
    ],
  }),
  "burn of SFIAT": intent(16, {
    postings: [posting(walletAccount(wallet, 2).accountId, "2006000001", "100", 8, 2)],
  }),
};

function messageOf(json: IntentJson) {
  return {
    intentId: json.intentId,
    phase: json.phase.replace("PHASE_", ""),
    wallet: json.wallet,
    merchantId: json.merchantId ?? "",
    reference: json.reference ?? "",
    postings: json.postings,
    corrects: json.corrects || `0x${"00".repeat(32)}`,
    pendingIntentId: json.pendingIntentId ?? "",
    timeoutSeconds: json.timeoutSeconds ?? 0,
    issuedAt: Date.parse(json.issueTime) / 1000,
    expiresAt: Date.parse(json.expireTime) / 1000,
  };
}

function digestOf(json: IntentJson): string {
  return TypedDataEncoder.hash(domain, types, messageOf(json));
}

/** The same signature in both forms that are accepted: 65 bytes, and 64 (EIP-2098). */
function signaturesOf(digest: string, privateKey: string) {
  const signature = new SigningKey(privateKey).sign(digest);
  return { signature: signature.serialized, compact: signature.compactSerialized };
}

/** The domain, the types, and digests and signatures of intents of every kind. */
export function eip712Vectors() {
  return {
    mailExample: checkedMailExample(),
    environment,
    clusterId,
    domain,
    domainSeparator: TypedDataEncoder.hashDomain(domain),
    types,
    typeString,
    typeHash: id(typeString),
    postingTypeHash: id(typeString.slice(typeString.indexOf("Posting(uint128"))),
    keys: { wallet: { privateKey: keys.wallet, address: wallet } },
    intents: Object.entries(intents).map(([name, json]) => {
      const digest = digestOf(json);
      const { signature, compact } = signaturesOf(digest, keys.wallet);
      return {
        name,
        intent: json,
        structHash: TypedDataEncoder.hashStruct("ClearingIntent", types, messageOf(json)),
        digest,
        walletSignature: signature,
        walletSignatureCompact: compact,
      };
    }),
  };
}

const approvalTypeString =
  "Approval(bytes32 intentDigest,string decision,uint64 issuedAt,uint64 expiresAt)";

const approvalTypes = {
  Approval: [
    { name: "intentDigest", type: "bytes32" },
    { name: "decision", type: "string" },
    { name: "issuedAt", type: "uint64" },
    { name: "expiresAt", type: "uint64" },
  ],
};

/** Approvals and rejections of an intent, under the domain of intents. */
export function approvalVectors() {
  const intentDigest = digestOf(intent(4, {}));
  const cases = [
    ["an approval for an hour", intentDigest, "APPROVE", 1_764_000_000, 1_764_003_600],
    ["its rejection", intentDigest, "REJECT", 1_764_000_000, 1_764_003_600],
    ["an approval of another intent", `0x${"ab".repeat(32)}`, "APPROVE", 0, 1],
    ["the largest times", intentDigest, "APPROVE", 253_402_214_400, 253_402_300_799],
  ] as const;
  return {
    domain,
    typeString: approvalTypeString,
    typeHash: id(approvalTypeString),
    types: approvalTypes,
    approver: { privateKey: keys.otherWallet, address: otherWallet },
    approvals: cases.map(([name, digestOfIntent, decision, issuedAt, expiresAt]) => {
      const message = { intentDigest: digestOfIntent, decision, issuedAt, expiresAt };
      const digest = TypedDataEncoder.hash(domain, approvalTypes, message);
      return { name, ...message, digest, ...signaturesOf(digest, keys.otherWallet) };
    }),
  };
}

const batchTypeString = "AttestationBatch(bytes32 root,uint32 count,uint64 issuedAt)";

const batchTypes = {
  AttestationBatch: [
    { name: "root", type: "bytes32" },
    { name: "count", type: "uint32" },
    { name: "issuedAt", type: "uint64" },
  ],
};

/** MTH and PATH of RFC 9162, 2.1.1 and 2.1.3.1, word for word, with keccak-256 for the hash. */
export const recursiveTree = {
  root(leaves: readonly string[]): string {
    const [only] = leaves;
    if (only !== undefined && leaves.length === 1) return keccak256(concat(["0x00", only]));
    const split = splitOf(leaves.length);
    const left = recursiveTree.root(leaves.slice(0, split));
    return keccak256(concat(["0x01", left, recursiveTree.root(leaves.slice(split))]));
  },
  path(index: number, leaves: readonly string[]): string[] {
    if (leaves.length === 1) return [];
    const split = splitOf(leaves.length);
    const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
    return index < split
      ? [...recursiveTree.path(index, left), recursiveTree.root(right)]
      : [...recursiveTree.path(index - split, right), recursiveTree.root(left)];
  },
};

/** The largest power of two below a number of leaves. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/** The leaves of the trees: the digest at an index is the keccak-256 of its name. */
export function treeLeaf(index: number): string {
  return id(`sovr/tree/leaf/${index}`);
}

/** Trees over digests, what is signed for them, and proofs: index and count, u32 big-endian each, and the path. */
export function treeVectors() {
  const issuedAt = 1_764_000_000;
  return {
    domain,
    typeString: batchTypeString,
    typeHash: id(batchTypeString),
    types: batchTypes,
    leaf: "keccak256(utf8('sovr/tree/leaf/' + index))",
    signer: { privateKey: keys.attestor, address: new Wallet(keys.attestor).address },
    trees: [2, 3, 7, 64, 8_189].map((count) => {
      const leaves = Array.from({ length: count }, (_, index) => treeLeaf(index));
      const root = recursiveTree.root(leaves);
      const digest = TypedDataEncoder.hash(domain, batchTypes, { root, count, issuedAt });
      const { signature } = signaturesOf(digest, keys.attestor);
      const proofs = toldIndexes(count).map((index) => ({
        index,
        leaf: treeLeaf(index),
        proof: concat([toBeHex(index, 4), toBeHex(count, 4), ...recursiveTree.path(index, leaves)]),
      }));
      return { count, root, issuedAt, digest, signature, proofs };
    }),
  };
}

/** All of a small tree; of a large one the ends, and both sides of where it is split. */
function toldIndexes(count: number): number[] {
  if (count <= 7) return Array.from({ length: count }, (_, index) => index);
  const split = splitOf(count);
  return [0, 1, split - 1, split, count - 2, count - 1];
}

/** Ethers must agree with the authors of EIP-712 before it judges us. */
function checkedMailExample() {
  const { domain, types, message, privateKey, ...published } = mailExample;
  const computed = {
    address: new Wallet(privateKey).address,
    domainSeparator: TypedDataEncoder.hashDomain(domain),
    structHash: TypedDataEncoder.hashStruct("Mail", types, message),
    digest: TypedDataEncoder.hash(domain, types, message),
    signature: signaturesOf(published.digest, privateKey).signature,
  };
  for (const [name, value] of Object.entries(computed)) {
    const expected = published[name as keyof typeof published];
    if (value !== expected)
      throw new Error(`EIP-712's ${name} is ${expected}, ethers says ${value}`);
  }
  return mailExample;
}

const uuids = [
  "00000000-0000-7000-8000-000000000000",
  "019abcde-0000-7000-8000-000000000001",
  "019abcde-f012-7abc-9def-0123456789ab",
  "ffffffff-ffff-7fff-bfff-ffffffffffff",
];

/** Ids of transfers: 48 bits of time, then 80 of SHA-256("sovr/transfer/v1" ‖ intent id ‖ leg). */
export function transferIdVectors() {
  return uuids.flatMap((intentId) =>
    [0, 1, 63].map((leg) => {
      const hex = intentId.replaceAll("-", "");
      const hash = createHash("sha256")
        .update("sovr/transfer/v1")
        .update(hex, "hex")
        .update(leg.toString(16).padStart(4, "0"), "hex")
        .digest("hex");
      return {
        intentId,
        leg,
        transferId: BigInt(`0x${hex.slice(0, 12)}${hash.slice(0, 20)}`).toString(),
      };
    }),
  );
}

function walletAccount(address: string, ledger: number) {
  const hash = createHash("sha256")
    .update("sovr/wallet/v1")
    .update(address.slice(2), "hex")
    .update(ledger.toString(16).padStart(8, "0"), "hex")
    .digest("hex");
  // 2^127, then the first 127 bits of the hash: its first 128 bits shifted down by one.
  const bits = BigInt(`0x${hash.slice(0, 32)}`)
    .toString(2)
    .padStart(128, "0")
    .slice(0, 127);
  return {
    wallet: getAddress(address),
    ledger,
    accountId: BigInt(`0b1${bits}`).toString(),
    userData128: BigInt(`0x${address.slice(10)}`).toString(),
    userData32: Number.parseInt(address.slice(2, 10), 16),
  };
}

/** Accounts of wallets: 2^127 | first 127 bits of SHA-256("sovr/wallet/v1" ‖ address ‖ ledger). */
export function walletAccountVectors() {
  const addresses = [
    wallet,
    otherWallet,
    mailExample.address,
    toBeHex(1, 20),
    `0x${"ff".repeat(20)}`,
  ];
  return addresses.flatMap((address) => [1, 2, 3].map((ledger) => walletAccount(address, ledger)));
}

function cursor(cluster: bigint, timestamp: bigint, pendingTimestamp?: bigint) {
  const kind = pendingTimestamp === undefined ? "COMMIT" : "EXPIRY";
  const number = (value: bigint, bytes: number) => value.toString(16).padStart(bytes * 2, "0");
  const body = [
    "01",
    number(cluster, 16),
    number(timestamp, 8),
    kind === "COMMIT" ? "00" : "01",
    number(pendingTimestamp ?? 0n, 8),
  ].join("");
  const checksum = createHash("sha256").update("sovr/cursor/v1").update(body, "hex").digest("hex");
  return {
    clusterId: cluster.toString(),
    timestamp: timestamp.toString(),
    kind,
    pendingTimestamp: (pendingTimestamp ?? 0n).toString(),
    cursor: Buffer.from(`${body}${checksum.slice(0, 12)}`, "hex").toString("base64url"),
  };
}

/** Cursors: version, cluster id, position, checksum. */
export function cursorVectors() {
  const u64Max = (1n << 64n) - 1n;
  const noon = 1_795_521_600_000_000_000n;
  return [
    cursor(0n, 0n),
    cursor(0n, noon),
    cursor(0n, noon, noon - 900_000_000_000n),
    cursor(7n, noon + 1n, u64Max),
    cursor((1n << 128n) - 1n, u64Max, u64Max),
  ];
}

if (import.meta.main) {
  const files = {
    "eip712.json": eip712Vectors(),
    "approvals.json": approvalVectors(),
    "trees.json": treeVectors(),
    "transfer-ids.json": transferIdVectors(),
    "wallet-accounts.json": walletAccountVectors(),
    "cursors.json": cursorVectors(),
  };
  for (const [name, vectors] of Object.entries(files)) {
    writeFileSync(new URL(name, import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
  }
}
