import { createHash, randomBytes } from 'node:crypto'
import { apiRoles, apiTokenName } from '../config/read-tokens.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run token -- --name alice --role operator

Creates a token for the API and prints it once, together with its entry for API_TOKENS or API_TOKENS_FILE. The token is not stored: the
service only knows its hash.

  --name N  the holder's name; the log names the holder as the actor
  --role R  viewer may look at everything but payloads, keys and header values; investigator may see those too; operator may
            also replay, expunge and decide
  --help    this text

Ends with 0 if a token was printed, 2 if it could not run.
`

// As long as a key of AES-256, so the hash needs no salt and no slow hash function.
const tokenBytes = 32

function makeToken(name: string | undefined, role: string | undefined): string {
  if (name === undefined || !apiTokenName.test(name))
    throw new Error('--name must be 1 to 64 letters, digits or ._@- that name the holder.')
  if (!apiRoles.some((each) => each === role))
    throw new Error('--role must be viewer, investigator or operator.')
  const token = randomBytes(tokenBytes).toString('base64url')
  const hash = createHash('sha256').update(token).digest('hex')
  return `The token (it is not shown again). ${name} sends it in this header:
  Authorization: Bearer ${token}

The entry for API_TOKENS (commas separate entries), or a line of the file API_TOKENS_FILE:
  ${name}:${role}:${hash}

Metrics and accesses call this token ${hash.slice(0, 8)}. To replace another one, add this entry, have its holder use it, and remove the
other entry: both are valid until then.
`
}

process.exitCode = await runCommand(
  recorded('token', {
    usage,
    options: { name: { type: 'string' }, role: { type: 'string' } },
    run: ({ name, role }) => {
      process.stdout.write(makeToken(name, role))
      return exitCodes.done
    },
  }),
)
