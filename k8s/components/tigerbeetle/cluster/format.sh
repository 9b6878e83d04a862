#!/bin/sh
# Formats the data file of one replica, once in its life. Only a one-off Job runs this, never a pod that starts: a
# replica whose file was lost and formatted anew has forgotten its promises and can lose committed transfers.
set -eu
tigerbeetle=${TIGERBEETLE:-/tigerbeetle}
file=${DATA_FILE:-/data/replica.tigerbeetle}
marker=${FORMATTED_MARKER:-/data/formatted}

if [ ! -e "$file" ]; then
  if [ -e "$marker" ]; then
    echo "replica $REPLICA was formatted before ($marker) and its data file $file is lost: tigerbeetle recover brings it back; it must not be formatted again" >&2
    exit 1
  fi
  # Beside its place and then moved: a format that was interrupted never looks like a data file.
  rm -f "$file.new"
  # shellcheck disable=SC2086 # flags are words
  "$tigerbeetle" format --cluster="$TIGERBEETLE_CLUSTER_ID" --replica="$REPLICA" \
    --replica-count="$REPLICA_COUNT" ${FORMAT_FLAGS:-} "$file.new"
  mv "$file.new" "$file"
fi
: >"$marker"
echo "replica $REPLICA of $REPLICA_COUNT is formatted"
