import { fstatSync, write, writeSync } from 'node:fs'

/** Where bytes go, whatever it is. */
export type Sink = {
  /** Calls back with how many of the bytes were sent, or with the error that kept all of them. */
  send(bytes: Buffer, done: (error: Error | null, sent: number) => void): void
  /** How many were sent; throws if none. */
  sendSync(bytes: Buffer): number
  /** Whether a send that does not come back holds up the end of the process: Node's exit waits for its threads. */
  readonly canHang: boolean
}

const standardOutput = 1

/**
 * Standard output. A pipe or a socket is written to by the event loop, which does not wait for its reader and can be left at any
 * time. A file or a terminal knows no such thing: a thread writes to it.
 */
export function openStandardOutput(): Sink {
  const kind = fstatSync(standardOutput)
  return kind.isFIFO() || kind.isSocket() ? openPipe() : openFile(standardOutput)
}

export function openFile(file: number): Sink {
  return {
    send: (bytes, done) => write(file, bytes, done),
    sendSync: (bytes) => writeSync(file, bytes),
    canHang: true,
  }
}

function openPipe(): Sink {
  // Each failed write is told to its callback too.
  process.stdout.on('error', () => undefined)
  return {
    send: (bytes, done) => {
      process.stdout.write(bytes, (error) => {
        if (error) done(error, 0)
        else done(null, bytes.length)
      })
    },
    sendSync: (bytes) => writeSync(standardOutput, bytes),
    canHang: false,
  }
}
