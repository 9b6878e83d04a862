-- Attestations of which one signature stands for many intents.
-- compatible-from: 0003-approvals.sql

-- When the tree was signed, i64 (Unix seconds), then the proof: index u32, count u32, and up to 13 hashes of 32 bytes. Null: the
-- signature is over the intent's own digest. A program that does not know the column takes what it finds for that, and so
-- answers an attestation that nobody trusts: AttestBatch is for when all replicas know it.
alter table attestation_signature add column tree bytea
  check (length(tree) between 48 and 432 and length(tree) % 32 = 16);
