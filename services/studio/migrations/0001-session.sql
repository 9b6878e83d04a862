-- compatible-from: none
-- Who is signed in, and who is about to. Of every secret only a hash is kept; whatever is over is deleted.
do $$
begin
  begin
    create role sovr_studio nologin;
  exception
    when duplicate_object or unique_violation then null;
  end;
  grant sovr_studio to current_user;
end $$;

create table studio_session (
  id_hash bytea primary key check (length(id_hash) = 32),
  subject text not null check (length(subject) between 1 and 255),
  name text not null check (length(name) <= 100),
  wallet text,
  roles text[] not null,
  use_time timestamptz not null,
  expire_time timestamptz not null
);
create index studio_session_of_subject on studio_session (subject, use_time);
create index studio_session_expiry on studio_session (expire_time);

create table studio_challenge (
  nonce text primary key check (length(nonce) = 32),
  wallet text not null,
  message text not null check (length(message) <= 2048),
  expire_time timestamptz not null
);
create index studio_challenge_expiry on studio_challenge (expire_time);

create table studio_attempt (
  id_hash bytea primary key check (length(id_hash) = 32),
  state text not null,
  nonce text not null,
  code_verifier text not null,
  -- Of the session that the browser had when it went.
  replaced bytea check (length(replaced) = 32),
  expire_time timestamptz not null
);
create index studio_attempt_expiry on studio_attempt (expire_time);
