#!/bin/sh
# Starts one replica. Without a data file it stops and says what to do; it never formats.
set -eu
tigerbeetle=${TIGERBEETLE:-/tigerbeetle}
file=${DATA_FILE:-/data/replica.tigerbeetle}
port=${PORT:-3000}

# TigerBeetle takes addresses and no names, the same list everywhere: each replica's Service, whose address stays.
# In its own slot a replica puts where it listens.
addresses=
replica=0
while [ "$replica" -lt "$REPLICA_COUNT" ]; do
  host=0.0.0.0
  if [ "$replica" -ne "$REPLICA" ]; then
    eval "host=\${TIGERBEETLE_${replica}_SERVICE_HOST:-}"
    if [ -z "$host" ]; then
      echo "the Service tigerbeetle-$replica is not there yet (TIGERBEETLE_${replica}_SERVICE_HOST is missing)" >&2
      exit 1
    fi
  fi
  addresses="$addresses${addresses:+,}$host:$port"
  replica=$((replica + 1))
done

if [ ! -e "$file" ]; then
  if [ "${RECOVER_REPLICA:-}" != "$REPLICA" ]; then
    cat >&2 <<TEXT
replica $REPLICA has no data file $file.
If this cluster is new: format it once with the Job (k8s/README.md, "Format").
If this replica ran before, its data is lost. Never format it again, that can lose committed transfers: set
RECOVER_REPLICA=$REPLICA, which runs \`tigerbeetle recover\` (k8s/README.md, "A lost data file").
TEXT
    exit 1
  fi
  rm -f "$file.new"
  "$tigerbeetle" recover --cluster="$TIGERBEETLE_CLUSTER_ID" --addresses="$addresses" --replica="$REPLICA" \
    --replica-count="$REPLICA_COUNT" "$file.new"
  mv "$file.new" "$file"
fi

# shellcheck disable=SC2086 # flags are words
exec "$tigerbeetle" start --addresses="$addresses" ${START_FLAGS:-} "$file"
