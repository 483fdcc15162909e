import { createHash, randomBytes } from 'node:crypto'
import { apiRoles, apiTokenName } from '../config/read-api.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run token -- --name alice --role operator

Makes a token for the API and prints it once, with the entry to configure. Nothing is stored: the service knows the token's hash only.

  --name N  who holds it; the log names this one as the actor of what the holder does
  --role R  viewer looks at everything, operator also replays
  --help    this text

Ends with 0 if there is a token, 2 if it could not run.
`

// As much as a key of AES-256, so that its hash needs no salt and no slow function.
const tokenBytes = 32

function makeToken(name: string | undefined, role: string | undefined): string {
  if (name === undefined || !apiTokenName.test(name))
    throw new Error('--name must be 1 to 64 letters, digits or ._@- that name the holder.')
  if (!apiRoles.some((each) => each === role)) throw new Error(`--role must be ${apiRoles.join(' or ')}.`)
  const token = randomBytes(tokenBytes).toString('base64url')
  const hash = createHash('sha256').update(token).digest('hex')
  return `The token, which is not shown again. ${name} sends it as the header
  Authorization: Bearer ${token}

The entry for API_TOKENS; entries are separated by commas:
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
