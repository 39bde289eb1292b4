#!/bin/bash
# Run by the PostgreSQL image when its volume is empty: a database of its own for each service, owned by a role of its
# own, and the service's role, whose rights `panier migrate` gives it. Passwords come from the environment:
# PANIER_<SERVICE>_DATABASE_PASSWORD, and PANIER_<SERVICE>_OWNER_PASSWORD, without which the owner cannot log in: a
# superuser that runs `panier migrate`, as docker compose has one, takes its place.
set -euo pipefail

# Beside this file in the repository, and mounted so in the container.
monitoring="$(dirname "${BASH_SOURCE[0]}")/../k8s/platform/postgres/monitoring.sql"
services=(catalog cart checkout sender console)

for service in "${services[@]}"; do
    variable="PANIER_${service^^}_DATABASE_PASSWORD"
    : "${!variable:?"$variable is not set"}"
done

for service in "${services[@]}"; do
    # The password is read by psql itself: as an argument, every process of the machine could see it.
    psql --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 \
        --set role="panier_$service" --set owner="panier_${service}_owner" \
        --set variable="PANIER_${service^^}_DATABASE_PASSWORD" \
        --set owners_variable="PANIER_${service^^}_OWNER_PASSWORD" <<'SQL'
\getenv password :variable
\getenv owners_password :owners_variable
CREATE ROLE :"role" LOGIN PASSWORD :'password';
\if :{?owners_password}
CREATE ROLE :"owner" LOGIN PASSWORD :'owners_password';
\else
CREATE ROLE :"owner" NOLOGIN;
\endif
CREATE DATABASE :"role" OWNER :"owner";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
    psql --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "panier_$service" --set ON_ERROR_STOP=1 \
        --output /dev/null --file "$monitoring"
done
