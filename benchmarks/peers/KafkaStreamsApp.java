import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The work on Kafka Streams' processor API: two persistent stores with caching and changelog, one thread.
 *
 * <p>The arguments are those of meter.py: broker source output group count directory stats. The formulas are
 * those of work.py, operation by operation, so that both give the same numbers.
 */
public final class KafkaStreamsApp {
    private static final int LIMIT = 100;
    private static final double SMOOTHING = 0.1;
    private static final double SPEED_KMH_MAX = 900.0;
    private static final double Z_MAX = 4.0;
    private static final int INTERVALS_MIN = 5;
    private static final double EARTH_DIAMETER_KM = 12742.0;

    private KafkaStreamsApp() {}

    /** The fields of the row that are read. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Row(
            long id,
            @JsonProperty("tenant_id") int tenant,
            @JsonProperty("person_id") int person,
            String ts,
            double lat,
            double lon) {}

    /** The fields of the change envelope that are read. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Envelope(String op, @JsonProperty("ts_us") long sentUs, Row after) {}

    /** The finding that is written. */
    public record Finding(
            long id,
            @JsonProperty("tenant_id") int tenant,
            @JsonProperty("person_id") int person,
            String kind,
            double score,
            @JsonProperty("sent_us") long sentUs) {}

    /** Counts, and writes the file that the runner reads, like meter.py. Used by one thread. */
    private static final class Meter {
        private static final long PROGRESS_EVENTS = 50_000;
        private final Path stats;
        private final long count;
        private long events;
        private long dropped;
        private long findings;
        private long startedNs;
        private double firstS;

        Meter(Path stats, long count) {
            this.stats = stats;
            this.count = count;
        }

        void start() {
            if (firstS == 0) {
                firstS = System.currentTimeMillis() / 1e3;
                startedNs = System.nanoTime();
                write(String.format(Locale.ROOT, "{\"first_s\":%.3f,\"events\":0}", firstS));
            }
        }

        void add() {
            events++;
            if (events == count) {
                double seconds = (System.nanoTime() - startedNs) / 1e9;
                write(String.format(
                        Locale.ROOT,
                        "{\"first_s\":%.3f,\"events\":%d,\"seconds\":%.6f,\"dropped\":%d,\"findings\":%d}",
                        firstS, events, seconds, dropped, findings));
            } else if (events < count && events % PROGRESS_EVENTS == 0) {
                write(String.format(Locale.ROOT, "{\"first_s\":%.3f,\"events\":%d}", firstS, events));
            }
        }

        private void write(String body) {
            try {
                Path scratch = stats.resolveSibling(stats.getFileName() + ".tmp");
                Files.writeString(scratch, body);
                Files.move(scratch, stats, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    /** The work, one event at a time. */
    private static final class Work implements Processor<byte[], byte[], byte[], byte[]> {
        private final Meter meter;
        private final ObjectReader reader;
        private final ObjectWriter writer;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Integer, byte[]> tenants;
        private KeyValueStore<Integer, byte[]> persons;

        Work(Meter meter) {
            this.meter = meter;
            ObjectMapper mapper = new ObjectMapper();
            reader = mapper.readerFor(Envelope.class);
            writer = mapper.writerFor(Finding.class);
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            tenants = given.getStateStore("tenants");
            persons = given.getStateStore("persons");
        }

        @Override
        public void process(Record<byte[], byte[]> message) {
            meter.start();
            try {
                Envelope event = reader.readValue(message.value());
                Instant at = Instant.parse(event.after().ts());
                if (admit(event.after().tenant(), at.getEpochSecond())) {
                    score(message, event, at.getEpochSecond() + at.getNano() / 1e9);
                } else {
                    meter.dropped++;
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            meter.add();
        }

        private boolean admit(int tenant, long second) {
            byte[] stored = tenants.get(tenant);
            int admitted = 1;
            long accepted = 1;
            long dropped = 0;
            boolean scored = true;
            if (stored != null) {
                ByteBuffer count = ByteBuffer.wrap(stored);
                long last = count.getLong();
                int sofar = count.getInt();
                accepted = count.getLong();
                dropped = count.getLong();
                scored = second != last || sofar < LIMIT;
                admitted = second != last ? 1 : scored ? sofar + 1 : sofar;
                accepted += scored ? 1 : 0;
                dropped += scored ? 0 : 1;
            }
            ByteBuffer count = ByteBuffer.allocate(28);
            tenants.put(tenant, count.putLong(second).putInt(admitted).putLong(accepted).putLong(dropped).array());
            return scored;
        }

        private void score(Record<byte[], byte[]> message, Envelope event, double atS) throws IOException {
            Row row = event.after();
            byte[] stored = persons.get(row.person());
            int intervals = 0;
            double meanS = 0;
            double variance = 0;
            String kind = null;
            double score = 0;
            if (stored != null) {
                ByteBuffer last = ByteBuffer.wrap(stored);
                double latitude = last.getDouble();
                double longitude = last.getDouble();
                double intervalS = atS - last.getDouble();
                intervals = last.getInt();
                meanS = last.getDouble();
                variance = last.getDouble();
                if (intervalS > 0) {
                    double speed = kilometres(latitude, longitude, row.lat(), row.lon()) * 3600.0 / intervalS;
                    if (speed > SPEED_KMH_MAX) {
                        kind = "travel";
                        score = speed;
                    }
                }
                if (intervals == 0) {
                    meanS = intervalS;
                    variance = 0;
                } else {
                    double difference = intervalS - meanS;
                    if (intervals >= INTERVALS_MIN && variance > 0 && kind == null) {
                        double z = difference / Math.sqrt(variance);
                        if (z > Z_MAX) {
                            kind = "cadence";
                            score = z;
                        }
                    }
                    meanS += SMOOTHING * difference;
                    variance = (1 - SMOOTHING) * (variance + SMOOTHING * difference * difference);
                }
                intervals++;
            }
            ByteBuffer moved = ByteBuffer.allocate(44).putDouble(row.lat()).putDouble(row.lon()).putDouble(atS);
            persons.put(row.person(), moved.putInt(intervals).putDouble(meanS).putDouble(variance).array());
            if (kind != null) {
                meter.findings++;
                Finding found = new Finding(row.id(), row.tenant(), row.person(), kind, score, event.sentUs());
                context.forward(new Record<>(message.key(), writer.writeValueAsBytes(found), message.timestamp()));
            }
        }

        private static double kilometres(double latitude, double longitude, double toLatitude, double toLongitude) {
            double phi1 = Math.toRadians(latitude);
            double phi2 = Math.toRadians(toLatitude);
            double across = Math.sin((phi2 - phi1) / 2);
            double along = Math.sin(Math.toRadians(toLongitude - longitude) / 2);
            double half = across * across + Math.cos(phi1) * Math.cos(phi2) * along * along;
            return EARTH_DIAMETER_KM * Math.asin(Math.sqrt(half));
        }
    }

    /** Runs until SIGTERM. */
    public static void main(String[] arguments) {
        String group = arguments[3];
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, arguments[5]);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        config.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // The default of 100 ms would be all of the latency.
        config.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
        Meter meter = new Meter(Path.of(arguments[6]), Long.parseLong(arguments[4]));
        Topology topology = new Topology();
        var bytes = Serdes.ByteArray();
        topology.addSource("source", bytes.deserializer(), bytes.deserializer(), arguments[1]);
        topology.addProcessor("work", () -> new Work(meter), "source");
        for (String name : new String[] {"tenants", "persons"}) {
            var store = Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.Integer(), bytes);
            topology.addStateStore(store.withCachingEnabled(), "work");
        }
        topology.addSink("sink", arguments[2], bytes.serializer(), bytes.serializer(), "work");
        KafkaStreams streams = new KafkaStreams(topology, config);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
    }
}
