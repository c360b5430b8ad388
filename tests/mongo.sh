#!/usr/bin/env bash
# The tests that a database makes a difference to, on the replica set that MBAAS_TEST_MONGO_URL names, or on one that is started
# for them by Docker and is gone afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
suites=(tests/contracts/test_mongo.py tests/storage/test_mongo_shared.py tests/takeover tests/wire)

if [[ -z "${MBAAS_TEST_MONGO_URL:-}" ]]; then
  if ! docker compose version >/dev/null 2>&1; then
    echo "make test-mongo needs a MongoDB replica set: name one by MBAAS_TEST_MONGO_URL=mongodb://host:27017/?replicaSet=rs0," >&2
    echo "or install Docker with its compose plugin, which then starts one" >&2
    exit 2
  fi
  trap 'docker compose --profile test rm --stop --force test-mongo >/dev/null' EXIT
  docker compose --profile test up --detach --wait test-mongo
  export MBAAS_TEST_MONGO_URL="mongodb://127.0.0.1:27099/?directConnection=true"
fi
"${PYTHON:-python3}" -m pytest "${suites[@]}" "$@"
