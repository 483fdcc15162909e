import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { configure } from '../src/config.ts'
import { defaults } from '../src/config/settings.ts'
import { flags as mockFlags, readOptions } from '../src/embedded/mock/options.ts'
import { readComposeFile, type ComposeFileService } from './support/compose-file.ts'

// No Docker engine is needed for these: the files are read as Docker would read them, and held against the code.

type Instruction = { name: string; rest: string }

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

const compose = readComposeFile()
const {
  app,
  kafka,
  mock_downstream: mock,
  postgres,
} = compose.services as Record<string, ComposeFileService | undefined>
const instructions = readInstructions(read('Dockerfile'))
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
const packageJson = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** One entry an instruction; comments go, and a line that ends in a backslash goes on. */
function readInstructions(text: string): Instruction[] {
  const lines = text.replace(/^\s*#.*\n/gm, '').replaceAll('\\\n', ' ')
  return lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }))
}

/** What compose makes of `${NAME:-default}` where NAME is not set. */
function interpolate(environment: Record<string, string | number> = {}): Record<string, string> {
  const values = Object.entries(environment).map(([name, value]) => [name, interpolateText(String(value))])
  return Object.fromEntries(values) as Record<string, string>
}

function interpolateText(text: string): string {
  return text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')
}

/** As .dockerignore is read: the last line that matches a path, or a folder that it lies in, decides. */
function isIgnored(path: string): boolean {
  let ignored = false
  for (const line of read('.dockerignore').split('\n')) {
    const pattern = line.replace(/^!/, '').trim()
    if (pattern === '' || pattern.startsWith('#')) continue
    const form = pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*')
    if (new RegExp(`^${form}(/|$)`).test(path)) ignored = !line.startsWith('!')
  }
  return ignored
}

/** What each COPY takes from the checkout; what comes from another stage is made there. */
function copied(from: Instruction[]): string[] {
  return from
    .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from='))
    .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
}

t.test('each service is on its port of this machine and nowhere else', (t) => {
  const ports = Object.entries(compose.services).map(([name, service]) => [
    name,
    ...service.ports.map(interpolateText),
  ])
  t.strictSame(ports.sort(), [
    ['app', '127.0.0.1:8000:8000'],
    ['grafana', '127.0.0.1:3000:3000'],
    ['kafka', '127.0.0.1:29092:29092'],
    ['mock_downstream', '127.0.0.1:8001:8001'],
    ['postgres', '127.0.0.1:5432:5432'],
    ['prometheus', '127.0.0.1:9090:9090'],
  ])
  t.end()
})

t.test('what watches the service is started by its profile alone, and reads what is in ops/', (t) => {
  const watching = Object.entries(compose.services).filter(([, { profiles }]) => profiles !== undefined)
  t.strictSame(
    watching.map(([name, { profiles }]) => [name, profiles]),
    [
      ['prometheus', ['watch']],
      ['grafana', ['watch']],
    ],
  )
  const mounted = watching.flatMap(([, { volumes }]) => volumes.filter((mount) => mount.startsWith('./')))
  for (const mount of mounted) {
    const [path = '', , mode] = mount.split(':')
    t.ok(existsSync(fileURLToPath(new URL(path, root))), path)
    t.equal(mode, 'ro', mount)
  }
  const inside = new Map(mounted.map((mount) => [mount.split(':')[0], mount.split(':')[1] ?? '']))
  const config = parse(read('ops/prometheus.yml')) as {
    rule_files: string[]
    scrape_configs: { job_name: string; dns_sd_configs: { names: string[]; port: number }[] }[]
  }
  t.strictSame(
    config.rule_files.map((name) => `${dirname(inside.get('./ops/prometheus.yml')!)}/${name}`),
    [inside.get('./ops/alerts.yml')],
  )
  t.match(config.scrape_configs, [{ job_name: /^tqp/, dns_sd_configs: [{ names: ['app'], port: 8000 }] }])
  t.match(read('ops/grafana/datasource.yml'), 'url: http://prometheus:9090')
  const dashboard = inside.get('./ops/grafana.json') ?? ''
  t.match(read('ops/grafana/dashboards.yml'), `path: ${dirname(dashboard)} `)
  t.equal(compose.services.grafana?.environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH, dashboard)
  t.end()
})

t.test('images are named to the last number, and ours is built from here', (t) => {
  const bases = instructions.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.split(' ')[0] ?? '')
  t.equal(new Set(bases).size, 1, 'both stages have the same Node')
  t.match(bases[0], /^node:22\.\d+\.\d+-\w+-slim$/)
  t.match(postgres?.image, /^postgres:18\.\d+$/)
  t.match(kafka?.image, /^apache\/kafka:4\.\d+\.\d+$/)
  t.match(compose.services.prometheus?.image, /^prom\/prometheus:v3\.\d+\.\d+$/)
  t.match(compose.services.grafana?.image, /^grafana\/grafana:12\.\d+\.\d+$/)
  t.strictSame(
    Object.keys(compose.services).filter((name) => compose.services[name]?.build !== undefined),
    ['app'],
    'what is built twice under one name has each start make the containers of the other anew',
  )
  t.equal(app?.image, mock?.image)
  t.end()
})

t.test('what a container says is kept up to a limit', (t) => {
  for (const [name, { logging }] of Object.entries(compose.services)) {
    t.match(logging, { driver: 'json-file', options: { 'max-size': /^\d+m$/, 'max-file': /^\d+$/ } }, name)
  }
  t.end()
})

t.test(
  'docs/deploy.md starts it in the background, waits until it is well, and starts two where each finds a port',
  (t) => {
    const document = read('docs/deploy.md')
    const shells = [...document.matchAll(/```sh\n([^`]*)```/g)].map(
      ([, text]) => text?.trim().split('\n') ?? [],
    )
    const [first] = shells.find(([line]) => line?.startsWith('docker compose')) ?? []
    t.equal(first, 'docker compose up --build --detach --wait')
    const [, low, high] = /APP_PORTS=(\d+)-(\d+) docker compose up .*--scale app=2/.exec(document) ?? []
    t.ok(Number(high) > Number(low))
    t.match(app?.ports, ['127.0.0.1:${APP_PORTS:-8000}:8000'])
    t.end()
  },
)

t.test('what the app needs is healthy before it starts, and each service can be asked', (t) => {
  t.strictSame(app?.depends_on, {
    postgres: { condition: 'service_healthy' },
    kafka: { condition: 'service_healthy' },
    mock_downstream: { condition: 'service_healthy' },
  })
  for (const [name, { healthcheck }] of Object.entries(compose.services)) t.ok(healthcheck, name)
  t.match(app?.healthcheck.test.join(' '), /:8000\/readyz/)
  t.end()
})

t.test('data outlive their containers, in volumes that have a name', (t) => {
  const mounts = Object.values(compose.services)
    .flatMap((service) => service.volumes)
    .filter((mount) => !mount.startsWith('./'))
  const named = new Set(mounts.map((mount) => mount.split(':')[0]))
  t.strictSame([...named].sort(), Object.keys(compose.volumes).sort())
  t.strictSame(postgres?.volumes, ['postgres:/var/lib/postgresql'])
  t.equal(kafka?.volumes[0]?.split(':')[1], kafka?.environment?.KAFKA_LOG_DIRS)
  t.end()
})

t.test('the settings of the app are all there are of production, and each has a name that is known', (t) => {
  const settings = interpolate(app?.environment)
  t.strictSame(
    Object.keys(settings).filter((name) => !(name in defaults)),
    [],
  )
  const runs = JSON.parse(lastStage.find(({ name }) => name === 'CMD')?.rest ?? '[]') as string[]
  const [shell, flag, script] = app?.command ?? []
  t.strictSame([shell, flag], ['sh', '-c'])
  t.equal(
    script,
    `node dist/commands/produce.js --count 0 >/dev/null 2>&1; exec ${runs.join(' ')}`,
    'it makes the topic, and then runs what the image runs',
  )
  const built = lastStage.find(({ name }) => name === 'ENV')?.rest ?? ''
  t.match(built, 'NODE_ENV=production')
  const answer = configure({ ...settings, NODE_ENV: 'production' })
  t.notOk('faults' in answer && answer.faults)
  t.match(answer, {
    config: {
      production: true,
      database: { url: 'postgresql://postgres:postgres@postgres:5432/transactions' },
      kafka: { brokers: ['kafka:9092'] },
      api: { host: '0.0.0.0', port: 8000 },
    },
  })
  t.equal(postgres?.environment?.POSTGRES_PASSWORD, app?.environment?.POSTGRES_PASSWORD)
  t.end()
})

/** What the compose file has no value for: its parts need none of it, and files would have to be mounted. */
const leftOut = [
  ...['KAFKA_SSL', 'KAFKA_CA', 'KAFKA_CERT', 'KAFKA_KEY'],
  ...['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'],
  ...['DATABASE_URL', 'DATABASE_SSL', 'DATABASE_CA', 'LISTEN_DATABASE_URL', 'MIGRATE_DATABASE_URL'],
  ...['DOWNSTREAM_CA', 'DOWNSTREAM_CERT', 'DOWNSTREAM_KEY'],
  ...['RETAIN_LOG', 'ARCHIVE_DIR', 'DATA_DIR', 'NODE_ENV', 'FAILPOINT'],
]
/** What its parts are reached by, and what goes with its published port. */
const fixed = [
  ...['KAFKA_BROKER', 'POSTGRES_USER', 'POSTGRES_DB', 'POSTGRES_HOST', 'POSTGRES_PORT', 'DOWNSTREAM_URL'],
  ...['HOST', 'PORT', 'API_OPEN'],
]

t.test(
  'every other setting of the app is taken from the environment or .env, and its default is the same',
  (t) => {
    const environment = app?.environment ?? {}
    const passed = Object.keys(defaults).filter((name) => !leftOut.includes(name) && !fixed.includes(name))
    for (const name of passed) {
      t.match(environment[name], new RegExp(`^\\$\\{${name}:-`), name)
      if (name !== 'POSTGRES_PASSWORD') t.equal(environment[name], `\${${name}:-}`, name)
    }
    for (const name of leftOut) t.notOk(name in environment, name)
    const { PUBLIC_URL } = interpolate(environment)
    t.equal(PUBLIC_URL, '')
    const answer = configure({
      ...interpolate(environment),
      PUBLIC_URL: 'https://pay.example/queue',
      NODE_ENV: 'production',
    })
    t.match(answer, { config: { api: { publicUrl: { origin: 'https://pay.example', path: '/queue' } } } })
    t.end()
  },
)

t.test('the app posts to where the mock processor listens', (t) => {
  const [node, , script, ...flags] = mock?.command ?? []
  t.match([node, script], ['node', 'dist/embedded/mock.js'])
  const options = readOptions(parseArgs({ args: flags, options: mockFlags }).values)
  t.match(options, { host: '0.0.0.0', port: 8001, success: 0.8 })
  t.equal(app?.environment?.DOWNSTREAM_URL, 'http://mock_downstream:8001/process')
  t.end()
})

t.test('Kafka is found from a container and from this machine', (t) => {
  const list = (name: string) => String(kafka?.environment?.[name]).split(',')
  const advertised = list('KAFKA_ADVERTISED_LISTENERS')
  t.strictSame(advertised, [`INSIDE://${app?.environment?.KAFKA_BROKER}`, 'OUTSIDE://localhost:29092'])
  t.strictSame(list('KAFKA_LISTENERS'), ['INSIDE://:9092', 'OUTSIDE://:29092', 'CONTROLLER://:9093'])
  const protocols = list('KAFKA_LISTENER_SECURITY_PROTOCOL_MAP').map((each) => each.split(':')[0])
  t.strictSame(protocols, ['INSIDE', 'OUTSIDE', 'CONTROLLER'])
  t.equal(kafka?.environment?.KAFKA_INTER_BROKER_LISTENER_NAME, 'INSIDE')
  t.equal(kafka?.environment?.KAFKA_CONTROLLER_QUORUM_VOTERS, '1@kafka:9093')
  t.match(kafka?.environment?.CLUSTER_ID, /^[\w-]{22}$/, 'a UUID as Kafka writes it')
  t.end()
})

t.test('the image runs Node itself, with the flags of npm start, as nobody in particular', (t) => {
  const command = JSON.parse(lastStage.findLast(({ name }) => name === 'CMD')?.rest ?? '[]') as string[]
  t.equal(packageJson.scripts.start, `npm run --silent build && exec ${command.join(' ')}`)
  const user = lastStage.findLast(({ name }) => name === 'USER')?.rest
  t.match(user, /^[1-9]\d*$/)
  t.match(lastStage.find(({ name }) => name === 'HEALTHCHECK')?.rest, /\/healthz/)
  t.equal(app?.stop_grace_period, '30s')
  t.end()
})

t.test('what the image is made of is there and let in, and nothing private is', (t) => {
  const sources = copied(instructions)
  t.ok(sources.length > 5)
  for (const source of sources) {
    t.ok(existsSync(fileURLToPath(new URL(source, root))), `${source} is there`)
    t.notOk(isIgnored(source), `${source} is let in`)
  }
  for (const path of ['.env', '.git', '.data', 'node_modules', 'dist', 'test', 'README.md'])
    t.ok(isIgnored(path), `${path} stays outside`)
  // The service reads these beside its own code.
  for (const path of ['migrations', 'package.json']) t.ok(copied(lastStage).includes(path), path)
  t.end()
})
