import { createHash, randomBytes } from 'node:crypto'
import { apiRoles, apiTokenName } from '../config/read-api.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run token -- --name alice --role operator

Creates a token for the API and prints it once, together with its entry for API_TOKENS. Nothing is stored: the service only knows the
token's hash.

  --name N  the holder's name; the log names the holder as the actor
  --role R  viewer may read everything, operator may also replay and expunge
  --help    this text

Ends with 0 if a token was printed, 2 if it could not run.
`

// As long as a key of AES-256, so the hash needs no salt and no slow hash function.
const tokenBytes = 32

function makeToken(name: string | undefined, role: string | undefined): string {
  if (name === undefined || !apiTokenName.test(name))
    throw new Error('--name must be 1 to 64 letters, digits or ._@- that name the holder.')
  if (!apiRoles.some((each) => each === role)) throw new Error(`--role must be ${apiRoles.join(' or ')}.`)
  const token = randomBytes(tokenBytes).toString('base64url')
  const hash = createHash('sha256').update(token).digest('hex')
  return `The token (it is not shown again). ${name} sends it in this header:
  Authorization: Bearer ${token}

The entry for API_TOKENS (commas separate entries):
  ${name}:${role}:${hash}
`
}

process.exitCode = await runCommand({
  usage,
  options: { name: { type: 'string' }, role: { type: 'string' } },
  run: ({ name, role }) => {
    process.stdout.write(makeToken(name, role))
    return exitCodes.done
  },
})
