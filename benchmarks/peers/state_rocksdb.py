"""Persons in RocksDB: `state_rocksdb.py <persons> <directory>`. Prints its figures as JSON.

Keys and values are those of the engine's changelog. There is no write-ahead log, because the changelog is one;
otherwise the database has its defaults. The values that are written are also the changelog's records.
"""

import sys
from pathlib import Path

import msgspec
from rocksdict import Options, Rdict, WriteOptions  # type: ignore[import-not-found, unused-ignore]
from state_work import Key, accesses, key_of, measure, mib, microseconds, print_figures, resident_bytes, track_of
from work import PersonTrack


def main() -> None:
    """Measure filling, reading, writing and both; then the use of memory and disk."""
    persons, directory = int(sys.argv[1]), Path(sys.argv[2])
    before_bytes = resident_bytes()
    store = Rdict(str(directory), Options(raw_mode=True))
    no_log = WriteOptions()
    no_log.disable_wal = True
    store.set_write_options(no_log)
    encode_key, encode, decode = msgspec.json.encode, msgspec.msgpack.encode, msgspec.msgpack.Decoder(tuple).decode

    def put(key: Key, track: PersonTrack) -> None:
        store[encode_key(key)] = encode(track)

    def get(key: Key) -> tuple[float, ...]:
        return decode(store[encode_key(key)])  # type: ignore[no-any-return, unused-ignore]

    def load() -> None:
        for number in range(persons):
            put(key_of(number), track_of(number))

    load_us = microseconds(load, persons)
    figures = measure(get, put, lambda: None, accesses(persons))
    memory_bytes = resident_bytes() - before_bytes
    store.flush()
    disk_bytes = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    store.close()
    print_figures(figures | {"load_us": load_us, "memory_mib": mib(memory_bytes), "disk_mib": mib(disk_bytes)})


if __name__ == "__main__":
    main()
