#!/bin/sh
# The replica's command: copies the primary (PGHOST, PGUSER, PGPASSWORD) once, then follows it.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --checkpoint=fast --no-password
    # The image leaves its empty folder open to all, which PostgreSQL refuses.
    chmod 0700 "$PGDATA"
fi
exec postgres "$@"
