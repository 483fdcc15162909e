import { readFile } from 'node:fs/promises'
import { configure } from '../../src/config.ts'
import { defaults, type SettingName } from '../../src/config/settings.ts'

type Setting = { name: SettingName; about: string }
type Group = { title: string; settings: Setting[] }

const exampleFile = new URL('../../.env.example', import.meta.url)

const head = `# Settings

<!-- Printed from .env.example and the code by \`npm run schema\`; do not edit. -->

Set them in the environment, or in a file \`.env\` in the folder that the service starts in; the environment wins. An empty value counts as not set.
In the file each line is \`NAME=VALUE\`, a comment or empty; a value with a \`#\` in it needs quotes.
[.env.example](../.env.example) has them all with their defaults, commented out: copied to \`.env\` as it is, it changes nothing. Times are in
seconds, and fractions are allowed.

All faults in the settings are reported at once, by name, and nothing is started. A name that is close to a setting's is a fault too. The commands
read the same settings.
`

/** docs/settings.md: what each setting is for stands in .env.example, its default and its form in the code. */
export async function printSettings(): Promise<string> {
  const groups = readGroups(await readFile(exampleFile, 'utf8'))
  return [head, ...groups.map(printGroup)].join('\n')
}

/** Paragraphs of a title and settings, each a few lines of comment with the setting below them. */
function readGroups(example: string): Group[] {
  const [, ...paragraphs] = example.trimEnd().split('\n\n')
  return paragraphs.map((paragraph) => {
    const [title = '', ...lines] = paragraph.split('\n').map((line) => line.replace(/^# /, ''))
    const settings: Setting[] = []
    let about: string[] = []
    for (const line of lines) {
      const [, name] = /^([A-Z_]+)=/.exec(line) ?? []
      if (name === undefined) about.push(line)
      else {
        settings.push({ name: name as SettingName, about: about.join(' ') })
        about = []
      }
    }
    return { title, settings }
  })
}

function printGroup({ title, settings }: Group): string {
  const rows = settings.map(({ name, about }) => {
    const value = defaults[name] === '' ? 'none' : `\`${defaults[name]}\``
    return `| \`${name}\` | ${value} | ${formOf(name)} | ${about} |\n`
  })
  return `## ${title}\n\n| setting | default | form | what it does |\n|---|---|---|---|\n${rows.join('')}`
}

// Beside these, each setting is read and none is ignored.
const beside = { KAFKA_SSL: 'true', DATABASE_SSL: 'true', DOWNSTREAM_URL: 'https://processor.example' }
const sasl = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' }

/** What a value must be, as the fault says that a senseless one brings; any text where none does. */
function formOf(name: SettingName): string {
  const url = /^(LISTEN|MIGRATE)_/.test(name) ? { DATABASE_URL: 'postgresql://localhost/transactions' } : {}
  const read = configure({ ...beside, ...sasl, ...url, [name]: '?' })
  const faults = 'faults' in read ? read.faults : []
  const own = faults.filter((each) => new RegExp(`^${name}\\b`).test(each))
  if (own.some((each) => each.includes(' names a file ')))
    return name.endsWith('_FILE') ? 'the path of a file' : 'the path of a PEM file'
  const [, form = 'text'] = /(?: must be | entry 1 is not | is not )(.*)\.$/.exec(own[0] ?? '') ?? []
  return form
}
