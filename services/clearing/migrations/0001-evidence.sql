-- Evidence: every verified intent with its attestation, stored before the ledger is touched.
-- Columns hold the intent itself, so that anyone can recompute the digest from the row alone.
create table evidence (
  intent_id uuid primary key,
  digest bytea not null check (length(digest) = 32),
  -- 1 IMMEDIATE, 2 PENDING, 3 POST_PENDING, 4 VOID_PENDING
  phase smallint not null check (phase between 1 and 4),
  wallet bytea not null check (length(wallet) = 20),
  merchant_id text not null check (length(merchant_id) <= 128),
  reference text not null check (length(reference) <= 128),
  -- 1 to 64 postings of 54 bytes, all big-endian: debit account u128, credit account u128, amount u128,
  -- ledger u32, code u16
  postings bytea not null check (length(postings) between 54 and 3456 and length(postings) % 54 = 0),
  corrects bytea check (length(corrects) = 32),
  pending_intent_id uuid,
  timeout_seconds integer not null check (timeout_seconds between 0 and 31536000),
  -- Unix seconds
  issue_time bigint not null,
  expire_time bigint not null,
  signature bytea not null check (length(signature) = 65),
  signer bytea not null check (length(signer) = 20),
  wallet_signature bytea check (length(wallet_signature) = 65),
  insert_time timestamptz not null default now()
);

-- A transfer row carries the first 24 bytes of the digest: this finds the evidence of a row.
create index evidence_digest_prefix on evidence (substring(digest from 1 for 24));
-- What may still expire: EventStream looks for pending intents that may be open at a start.
create index evidence_pending on evidence ((issue_time + 86400 + timeout_seconds))
  where phase = 2 and timeout_seconds > 0;
-- What corrects an intent.
create index evidence_corrects on evidence (corrects) where corrects is not null;

-- The first failure of an intent that is dead for ever.
create table clearing_failure (
  intent_id uuid primary key references evidence (intent_id),
  -- the ErrorReason without its prefix
  reason text not null check (reason ~ '^[A-Z][A-Z_]{0,62}$'),
  metadata jsonb not null,
  failure_time timestamptz not null default now()
);

-- Both tables are append-only, whoever asks.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger evidence_append_only before update or delete or truncate on evidence
  for each statement execute function refuse_change();
create trigger clearing_failure_append_only before update or delete or truncate on clearing_failure
  for each statement execute function refuse_change();
