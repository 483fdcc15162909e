/**
 * What the embedded server is told beside PostgreSQL's defaults. It goes onto the command line, so that an older folder
 * gets what this release thinks right, and so that nothing in the folder can take durability away.
 */
export function serverSettings(port: number): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // A socket in the data folder would fail on long paths (107 bytes), and one in /tmp would meet other servers' sockets.
    unix_socket_directories: '',
    // The log is the truth: what was acknowledged survives a power cut.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    // A quarter of a 1 GB machine. The working set is the newest part of the log, not the whole of it.
    shared_buffers: '256MB',
    // With the default of 1 GB and 5 minutes a full load checkpoints all the time, and each checkpoint makes every page's
    // next change write the whole page. Recovery from 2 GB of WAL takes well under a minute.
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    // Every statement of ours touches a few rows. A parallel plan would take cores from the service; compiling one costs
    // more than it saves.
    max_parallel_workers_per_gather: '0',
    jit: 'off',
    // Shows which statements ran: the proof that an idle service runs none.
    shared_preload_libraries: 'pg_stat_statements',
    // The log file names what went wrong and holds nothing of a payload: neither statements nor the failing row.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
  }
}
