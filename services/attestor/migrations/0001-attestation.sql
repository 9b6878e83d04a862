-- Sign once. An intent id is bound to its digest first, in a transaction of its own; only then is the digest signed.
-- Replicas that race for one id meet at the primary key: the loser of another digest never signs.
create table attestation_intent (
  intent_id uuid primary key,
  digest bytea not null check (length(digest) = 32),
  insert_time timestamptz not null default now()
);

-- What was answered under the digest, and is answered for ever. The first writer wins. A row may be missing: the
-- process died between the two tables, and the same intent again completes it.
create table attestation_signature (
  intent_id uuid primary key references attestation_intent (intent_id),
  signature bytea not null check (length(signature) = 65),
  signer bytea not null check (length(signer) = 20),
  wallet_signature bytea check (length(wallet_signature) = 65),
  insert_time timestamptz not null default now()
);

-- Both tables are append-only, whoever asks.
create function refuse_attestation_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger attestation_intent_append_only
  before update or delete or truncate on attestation_intent
  for each statement execute function refuse_attestation_change();
create trigger attestation_signature_append_only
  before update or delete or truncate on attestation_signature
  for each statement execute function refuse_attestation_change();
