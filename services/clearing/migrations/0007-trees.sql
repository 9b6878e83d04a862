-- Evidence of which one signature stands for many intents. Each row stands alone: it holds its own proof.
-- compatible-from: 0006-approvals.sql

-- When the tree was signed, i64 (Unix seconds), then the proof: index u32, count u32, and up to 13 hashes of 32 bytes. Null: the
-- signature is over the intent's own digest. A program that does not know the column takes what it finds for that, and finds
-- fault with it.
alter table evidence add column tree bytea
  check (length(tree) between 48 and 432 and length(tree) % 32 = 16);
