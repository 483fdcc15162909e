import dns, { type LookupAddress } from 'node:dns'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SlowRelay } from './slow-relay.ts'

/** The relays of SLOW_NAMES by the names that lead to them, in JSON. */
export type SlowNames = Record<string, SlowRelay>

/**
 * Loaded into a process before all else: the names of SLOW_NAMES have an IPv4 address that a connect to takes a second, and an
 * IPv6 address where nobody is. Of all that this process does only its DNS is not real.
 */
export function resolveSlowly(names: SlowNames): void {
  const { lookup } = dns
  const addresses: LookupAddress[] = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
  const slowly = (name: string, options: dns.LookupOptions, callback: (...given: unknown[]) => void) => {
    const relay = names[name]
    if (relay === undefined) lookup(name, options, callback)
    else void hold(relay).then(() => callback(null, ...(options.all ? [addresses] : ['127.0.0.1', 4])))
  }
  dns.lookup = slowly as typeof dns.lookup
}

// More than the relay's queue takes.
const fillers = 4
// A connect that met a full queue twice would take three seconds, and one that met it three times seven: each meets it once.
const restMs = 3_000
const held = new Map<SlowRelay, Promise<void>>()

/** Resolves when whoever connects to the relay now has to wait, unless another had to just before. */
function hold(relay: SlowRelay): Promise<void> {
  const before = held.get(relay)
  if (before !== undefined) return before
  const filled = fill(relay)
  held.set(relay, filled)
  return filled
}

async function fill(relay: SlowRelay): Promise<void> {
  process.kill(relay.pid, 'SIGSTOP')
  const sockets = Array.from({ length: fillers }, () =>
    connect(relay.port, '127.0.0.1').on('error', () => undefined),
  )
  await sleep(100)
  setTimeout(() => {
    setTimeout(() => held.delete(relay), restMs)
    process.kill(relay.pid, 'SIGCONT')
    for (const socket of sockets) socket.destroy()
  }, 600)
}

const given = process.env.SLOW_NAMES
if (given !== undefined) resolveSlowly(JSON.parse(given) as SlowNames)
