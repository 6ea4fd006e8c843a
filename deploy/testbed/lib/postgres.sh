# shellcheck shell=bash
# One Postgres with a data folder of its own. On its one port it speaks with and without TLS:
#   maestro          a superuser, so that each test can create a database of its own
#   maestro_tls      may connect by TLS only
#   maestro_checked  must show a certificate of the testbed's authority, and needs no password

# The newest that is installed; Debian keeps them off the PATH.
postgres_bin() {
    local newest
    newest=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || true
    dirname "${newest:-$(command -v initdb || fail "initdb is not there; is PostgreSQL installed?")}"
}

# Postgres refuses to run as root, so that root lends it to another user.
as_postgres() {
    local user
    if ! is_root; then
        "$@"
        return
    fi
    user=$(postgres_user)
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
}

postgres_user() {
    if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

packages_of_postgres() {
    if command -v initdb >/dev/null; then
        echo psql=postgresql-client
    else
        echo '/usr/lib/postgresql/*/bin/initdb=postgresql'
    fi
}

up_postgres() {
    local bin folder=$run/postgres run_as=()
    bin=$(postgres_bin)
    make_certificate postgres-client /CN=maestro_checked clientAuth
    [ -f "$folder/.initialised" ] || initialise_postgres "$bin" "$folder"
    if is_root; then
        run_as=(setpriv --reuid "$(postgres_user)" --regid "$(id -g "$(postgres_user)")" --clear-groups)
    fi
    # QUIT is Postgres's word for "at once, as in a crash".
    define postgres postgres QUIT "127.0.0.1:${port[postgres]}" \
        "${run_as[@]}" "$bin/postgres" -D "$folder/data" -c "port=${port[postgres]}"
    wait_ready postgres 60
    [ -f "$folder/.users" ] || make_postgres_users "$bin" "$folder"
    say "postgres: ready on 127.0.0.1:${port[postgres]} ($("$bin/postgres" --version | grep -oE '[0-9.]+' | head -n 1))"
}

initialise_postgres() {
    local bin=$1 folder=$2
    rm -rf "$folder"
    mkdir -p "$folder"
    if is_root; then
        chown "$(postgres_user)" "$folder"
        as_postgres test -x "$folder" ||
            fail "the user $(postgres_user), as whom Postgres runs, can't reach $folder; set MAESTRO_TESTBED to a folder that others may enter, such as one in /tmp"
    fi
    echo "$password" | as_postgres tee "$folder/password" >/dev/null
    (
        cd "$folder"
        as_postgres "$bin/initdb" -D "$folder/data" --username maestro --pwfile "$folder/password" \
            --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --no-sync
    ) >"$run/log/initdb.log" 2>&1 || fail "initdb failed: $(tail -n 5 "$run/log/initdb.log")"
    as_postgres tee -a "$folder/data/postgresql.conf" >/dev/null <<'CONFIGURATION'

# The testbed.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
# Low, and said out loud: a pool that takes more than its share shows in a test.
max_connections = 200
shared_buffers = 64MB
# Nothing here must survive a power cut. It must survive a killed process, and does without all of these.
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 256MB
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.crt'
timezone = 'UTC'
log_timezone = 'UTC'
CONFIGURATION
    as_postgres tee "$folder/data/pg_hba.conf" >/dev/null <<'CONFIGURATION'
# TYPE    DATABASE  USER             ADDRESS       METHOD
hostnossl all       maestro_tls      127.0.0.1/32  reject
hostnossl all       maestro_checked  127.0.0.1/32  reject
hostssl   all       maestro_checked  127.0.0.1/32  cert
host      all       all              127.0.0.1/32  scram-sha-256
CONFIGURATION
    # A key must be its reader's own.
    as_postgres tee "$folder/data/server.crt" <"$run/pki/loopback.crt" >/dev/null
    as_postgres tee "$folder/data/server.key" <"$run/pki/loopback.key" >/dev/null
    as_postgres tee "$folder/data/ca.crt" <"$run/pki/ca.crt" >/dev/null
    : >"$folder/.initialised"
}

make_postgres_users() {
    postgres_query "
        CREATE ROLE maestro_tls SUPERUSER LOGIN PASSWORD '$password';
        CREATE ROLE maestro_checked SUPERUSER LOGIN;" >/dev/null || fail "can't make the users of Postgres"
    : >"$2/.users"
}

postgres_query() {
    PGPASSWORD=$password PGCONNECT_TIMEOUT=5 "$(postgres_bin)/psql" -X -A -t -q -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "${port[postgres]}" -U maestro -d postgres -c "$1" </dev/null
}

# As after the first start: no databases but its own.
wipe_postgres() {
    PGPASSWORD=$password PGCONNECT_TIMEOUT=5 "$(postgres_bin)/psql" -X -A -t -q -v ON_ERROR_STOP=1 \
        -h 127.0.0.1 -p "${port[postgres]}" -U maestro -d postgres <<'STATEMENTS'
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname <> 'postgres' AND NOT datistemplate
\gexec
STATEMENTS
}

# When the first process of a Postgres is killed, the others end by themselves a moment later, and its lock stays. Postgres
# takes that for a running one as long as the killed process is a zombie, which can be for ever in a container.
before_start_postgres() {
    local data=$run/postgres/data folder
    while read -r folder; do
        # Not somebody's shell that stands in the folder. (What was replaced meanwhile is called "postgres (deleted)".)
        if [[ $(readlink "$folder/exe") =~ /postgres(" (deleted)")?$ ]]; then
            kill -KILL "${folder#/proc/}" 2>/dev/null || true
        fi
    done < <(find /proc -maxdepth 2 -name cwd -lname "$data" -printf '%h\n' 2>/dev/null)
    rm -f "$data/postmaster.pid"
}

print_postgres_environment() {
    local address=127.0.0.1:${port[postgres]} secure=localhost:${port[postgres]}
    cat <<ENVIRONMENT
# A superuser; make a database of your own in each test.
export MAESTRO_TESTBED_POSTGRES='postgres://maestro:$password@$address/postgres?sslmode=disable'
# The same server: a user that is let in by TLS only, and one that must show a certificate too.
export MAESTRO_TESTBED_POSTGRES_TLS='postgres://maestro_tls:$password@$secure/postgres?sslmode=verify-full&sslrootcert=$run/pki/ca.crt'
export MAESTRO_TESTBED_POSTGRES_TLS_CLIENT='postgres://maestro_checked@$secure/postgres?sslmode=verify-full&sslrootcert=$run/pki/ca.crt&sslcert=$run/pki/postgres-client.crt&sslkey=$run/pki/postgres-client.key'
ENVIRONMENT
}
