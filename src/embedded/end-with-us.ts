import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { programEnvironment } from './postgres/choose-user.ts'
import { startOf } from './postgres/process.ts'

/** How a process comes to its end that we have started, when we are gone. */
export interface Lifeline {
  /** How long it goes on without us: time for another start to take it up. */
  graceSeconds: number
  /** A file of JSON whose `pid` is that of its owner; one that lives when the grace is over keeps it. Null where nobody takes it up. */
  ownerPath: string | null
}

// Reads until the end of its input, which comes when we are gone, and then signals the process that still is the one it was told of:
// field 22 of /proc/PID/stat is when that started, in the shell the 20th word behind the program's name; else ps tells.
const watcher = `
set -f
pid=$1 signal=$2 wanted=$3 grace=$4 owner=$5
lives() {
  if [ -r /proc/self/stat ]; then
    read -r stat 2>/dev/null < "/proc/$pid/stat" || return 1
    set -- \${stat##*) }
    shift 19
    started=$1
  else
    started=$(ps -o lstart= -p "$pid" | sed 's/^ *//;s/ *$//')
  fi
  [ "$started" = "$wanted" ]
}
is_taken_up() {
  heir=$(sed -n 's/.*"pid":\\([0-9][0-9]*\\).*/\\1/p' "$owner" 2>/dev/null)
  [ -n "$heir" ] && kill -0 "$heir" 2>/dev/null
}
while read -r _; do :; done
lives || exit 0
sleep "$grace"
is_taken_up || { lives && kill -s "$signal" "$pid"; }
`

/**
 * Has the process signalled when this one is gone, however it went: SIGKILL leaves nobody else to do so. A shell watches, in a
 * session of its own and not by Node's name, so that what ends us does not end it too. Without a shell nothing is watched.
 *
 * @param pid of a process that runs
 */
export function endWithUs(
  pid: number,
  signal: NodeJS.Signals,
  { graceSeconds, ownerPath }: Lifeline = { graceSeconds: 0, ownerPath: null },
): void {
  const started = startOf(pid)
  if (started === undefined) return
  const args = [String(pid), signal.slice(3), started, String(graceSeconds), ownerPath ?? '']
  const child = spawn('sh', ['-c', watcher, 'end-with-us', ...args], {
    env: programEnvironment,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  // Neither keeps us alive.
  child.unref()
  if (child.stdin instanceof Socket) child.stdin.unref()
}
