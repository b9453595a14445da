#!/bin/sh
# Run once by the image, when the primary's data folder is made: lets the replica in.
set -e
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --command="CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'refcache'"
echo "host replication replicator all scram-sha-256" >> "$PGDATA/pg_hba.conf"
