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

# The files that hold the same password must be written together: where one is missing all of them are made anew.
together() { # names
    for name; do
        [ -s "$directory/$name" ] || { (cd "$directory" && rm -f "$@"); return 0; }
    done
}
together postgres_password capture.pgpass setup.toml
together kafka_password kafka.properties kafka-user.args connect.properties
together connect_password connect-users.properties connect.curlrc

kafka=$(random)
scram="org.apache.kafka.common.security.scram.ScramLoginModule required username=\"watchfloor\" password=\"$kafka\";"
plain="org.apache.kafka.common.security.plain.PlainLoginModule required username=\"watchfloor\" password=\"$kafka\""
write kafka_password "$kafka"
write kafka-user.args "--add-scram
SCRAM-SHA-512=[name=watchfloor,password=$kafka]
"
write kafka.properties "listener.name.clients.scram-sha-512.sasl.jaas.config=$scram
listener.name.controller.plain.sasl.jaas.config=$plain user_watchfloor=\"$kafka\";
"
write connect.properties "$(for client in '' producer. consumer. admin.; do
    printf '%ssecurity.protocol=SASL_PLAINTEXT\n' "$client"
    printf '%ssasl.mechanism=SCRAM-SHA-512\n' "$client"
    printf '%ssasl.jaas.config=%s\n' "$client" "$scram"
done)
"
rest=$(random)
write connect_password "$rest"
write connect-users.properties "watchfloor=$rest
"
write connect.curlrc "user = \"watchfloor:$rest\"
"
admin=$(random)
capture=$(random)
write postgres_password "$admin"
write capture.pgpass "postgres:5432:watchfloor:watchfloor_capture:$capture
"
write setup.toml "[source]
admin_dsn = \"postgresql://postgres:$admin@postgres:5432/watchfloor\"
password = \"$capture\"
"
write gateway.toml "[auth]
hs256_secret = \"$(random)\"
"
