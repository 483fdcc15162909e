/**
 * The embedded server's settings that differ from PostgreSQL's defaults. They go onto the command line, so
 * that an older folder gets the settings of this release, and so that nothing in the folder can turn
 * durability off.
 */
export function serverSettings(port: number): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // A socket in the data folder would fail on long paths (107 bytes), and one in /tmp could collide with
    // other servers' sockets.
    unix_socket_directories: '',
    // What was acknowledged must survive a power cut.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    // A quarter of a machine with 1 GB. The working set is the newest part of the log, not all of it.
    shared_buffers: '256MB',
    // With the defaults of 1 GB and 5 minutes, full load checkpoints all the time, and after each checkpoint
    // the next change of every page writes the whole page. Recovery from 2 GB of WAL takes well under a
    // minute.
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    // Every statement of this service touches few rows. A parallel plan would take cores from the service,
    // and compiling one costs more than it saves.
    max_parallel_workers_per_gather: '0',
    jit: 'off',
    // Shows which statements ran. A test uses it to prove that an idle service runs none.
    shared_preload_libraries: 'pg_stat_statements',
    // The log file says what went wrong without any part of a payload: no statements and no failing rows.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
  }
}
