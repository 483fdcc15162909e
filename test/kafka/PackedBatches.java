import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.compress.*;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.Header;

/**
 * Writes record batches as Kafka's Java client packs them, a file for each codec and level, into the folder that is named:
 *
 *   java -cp 'LIBRARIES/*' test/kafka/PackedBatches.java test/kafka/packed
 *
 * with the libraries that test/support/apache-kafka/jars.ts lays down. The records are a function of their number alone;
 * test/kafka/unpack.test.ts has the same.
 */
class PackedBatches {
    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        Files.createDirectories(folder);
        write(folder, "gzip", Compression.gzip().build());
        write(folder, "snappy", Compression.snappy().build());
        write(folder, "lz4-1", Compression.lz4().level(1).build());
        write(folder, "lz4-17", Compression.lz4().level(17).build());
        for (int level : new int[] {-5, 1, 3, 9, 19, 22})
            write(folder, "zstd-" + level, Compression.zstd().level(level).build());
    }

    static void write(Path folder, String name, Compression compression) throws Exception {
        ByteBuffer buffer = ByteBuffer.allocate(4 << 20);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, compression, TimestampType.CREATE_TIME, 100L);
        for (int number = 0; number < 1000; number++) {
            Header[] headers = number % 10 != 0 ? new Header[0] : new Header[] {
                new RecordHeader("traceparent", ("00-" + "ab".repeat(16) + "-01").getBytes()),
                new RecordHeader("repeated", null),
                new RecordHeader("repeated", new byte[0]),
            };
            builder.append(1_700_000_000_000L + number, key(number), value(number), headers);
        }
        MemoryRecords records = builder.build();
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().get(bytes);
        Files.write(folder.resolve(name + ".bin"), bytes);
    }

    static byte[] key(int number) {
        return number % 3 == 0 ? null : ("key-" + number % 7).getBytes();
    }

    /** Some are all alike, some are noise, some long, so that every kind of block is met. */
    static byte[] value(int number) {
        StringBuilder text = new StringBuilder("{\"transaction_id\":\"tx-" + number + "\",\"amount\":\"" + (number * 7919 % 100000) + ".00\"");
        if (number % 50 == 0) text.append(",\"note\":\"" + "repeated ".repeat(number * 2) + "\"");
        if (number % 25 == 1) text.append(",\"noise\":\"" + noise(number) + "\"");
        return text.append("}").toString().getBytes();
    }

    static String noise(int number) {
        long state = number;
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < 400; at++) {
            state = (state * 1103515245L + 12345L) & 0x7fffffffL;
            text.append((char) ('0' + (state >> 16) % 75));
        }
        return text.toString().replace('\\', '-').replace('"', '-');
    }
}
