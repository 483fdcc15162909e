import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { programEnvironment } from './postgres/choose-user.ts'
import { startOf } from './postgres/process.ts'

/** When a process that this one has started must end after this one is gone. */
export interface Lifeline {
  /** How long it goes on afterwards, so that another start can adopt it. */
  graceSeconds: number
  /**
   * A JSON file whose `pid` is the owner's. If that process lives when the grace time is over, the process is
   * kept. Null if no other process may adopt it.
   */
  ownerPath: string | null
}

// Reads until the end of its input, which comes when this process is gone. Then signals the given process, if
// it is still the same one: it compares the start time. That is field 22 of /proc/PID/stat, in the shell the
// 20th word after the program's name; without /proc, ps tells it.
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
 * Makes sure that the process gets a signal when this one is gone, however it ended: after SIGKILL nobody
 * else is left to send it. A shell watches, in its own session and not under Node's name, so that what ends
 * this process does not end the shell too. Without a shell there is no watch.
 *
 * @param pid a process that runs
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
  // Neither of the two keeps this process alive.
  child.unref()
  if (child.stdin instanceof Socket) child.stdin.unref()
}
