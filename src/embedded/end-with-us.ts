import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { programEnvironment } from './postgres/choose-user.ts'
import { startOf } from './postgres/process.ts'

// Reads until the end of its input, which comes when we are gone, and then signals the process that still is the one it was told of:
// field 22 of /proc/PID/stat is when that started, in the shell the 20th word behind the program's name; else ps tells.
const watcher = `
set -f
while read -r _; do :; done
pid=$1 signal=$2 wanted=$3
if [ -r /proc/self/stat ]; then
  read -r stat < "/proc/$pid/stat" || exit 0
  set -- \${stat##*) }
  shift 19
  started=$1
else
  started=$(ps -o lstart= -p "$pid" | sed 's/^ *//;s/ *$//')
fi
[ "$started" = "$wanted" ] && kill -s "$signal" "$pid"
`

/**
 * Has the process signalled when this one is gone, however it went: SIGKILL leaves nobody else to do so. A shell watches, in a
 * session of its own and not by Node's name, so that what ends us does not end it too. Without a shell nothing is watched.
 *
 * @param pid of a process that runs
 */
export function endWithUs(pid: number, signal: NodeJS.Signals): void {
  const started = startOf(pid)
  if (started === undefined) return
  const child = spawn('sh', ['-c', watcher, 'end-with-us', String(pid), signal.slice(3), started], {
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
