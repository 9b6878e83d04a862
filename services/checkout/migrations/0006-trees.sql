-- Attestations of intents whose wallet had them attested itself, together with others.
-- compatible-from: 0005-open-orders.sql

-- When the tree was signed, i64 (Unix seconds), then the proof, as attestation_signature.tree. Null: the signature is over the
-- intent's own digest.
alter table checkout_attempt add column tree bytea
  check (length(tree) between 48 and 432 and length(tree) % 32 = 16);
