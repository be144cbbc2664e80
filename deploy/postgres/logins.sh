#!/bin/sh
# One login for each part, in the roles of roles.sql, with the passwords of the environment: run once, when the database is made.
# psql reads the passwords itself, so that they are on no command line.
set -eu
# The board of a whole installation has people: it reads their accounts, and adds what they do and say. Its pages for admins change accounts
# and put dead letters back; where that is done by commands alone, BOARD_ROLE=groundswell_people takes both rights from it.
BOARD_ROLE="${BOARD_ROLE:-groundswell_admin}"
case "$BOARD_ROLE" in
groundswell_admin | groundswell_people) export BOARD_ROLE ;;
*)
    echo "logins.sh: BOARD_ROLE must be groundswell_admin or groundswell_people, got '$BOARD_ROLE'; correct it and make the database again" >&2
    exit 2
    ;;
esac
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv migrator MIGRATOR_PASSWORD
\getenv crawler CRAWLER_PASSWORD
\getenv worker WORKER_PASSWORD
\getenv desk DESK_PASSWORD
\getenv board BOARD_PASSWORD
\getenv board_role BOARD_ROLE
\getenv reader READER_PASSWORD
CREATE ROLE migrator LOGIN PASSWORD :'migrator' IN ROLE groundswell_owner;
ALTER ROLE migrator SET role = groundswell_owner;
CREATE ROLE crawler LOGIN PASSWORD :'crawler' IN ROLE groundswell_crawler;
CREATE ROLE worker LOGIN PASSWORD :'worker' IN ROLE groundswell_worker;
CREATE ROLE desk LOGIN PASSWORD :'desk' IN ROLE groundswell_desk;
CREATE ROLE board LOGIN PASSWORD :'board' IN ROLE :"board_role";
-- Grafana: the statements of its dashboards only read, and end when they take too long.
CREATE ROLE reader LOGIN PASSWORD :'reader' IN ROLE groundswell_board;
ALTER ROLE reader SET default_transaction_read_only = on;
ALTER ROLE reader SET statement_timeout = '30s';
SQL
