#!/bin/sh
# Creates the secrets that docker-compose.kafka.yml gives to its containers; existing ones are kept.
#
#   deploy/compose/make-secrets.sh
#
# The directory is closed to everybody but its owner. The files in it are readable, because a container's
# process has another user id; each is mounted only into the containers that need it.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
# Outside every package, so that no wheel and no image can pick it up, and ignored by its own .gitignore.
directory="$root/.compose-secrets"
umask 077
mkdir -p "$directory"
chmod 700 "$directory"
printf '*\n' > "$directory/.gitignore"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() { # name, text
    [ -s "$directory/$1" ] && return 0
    printf '%s' "$2" > "$directory/.$1.new"
    chmod 444 "$directory/.$1.new"
    mv "$directory/.$1.new" "$directory/$1"
    printf 'made %s\n' "$directory/$1"
}

# The files that hold the same password must be written together.
if [ ! -s "$directory/postgres_password" ] || [ ! -s "$directory/capture.properties" ] || [ ! -s "$directory/setup.toml" ]; then
    rm -f "$directory/postgres_password" "$directory/capture.properties" "$directory/setup.toml"
fi
admin=$(random)
capture=$(random)
write postgres_password "$admin"
write capture.properties "password=$capture
"
write setup.toml "[source]
admin_dsn = \"postgresql://postgres:$admin@postgres:5432/watchfloor\"
password = \"$capture\"
"
write gateway.toml "[auth]
hs256_secret = \"$(random)\"
"
