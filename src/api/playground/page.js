/**
 * Runs in the browser: starts GraphiQL with what it lacks. It comes back to the tab that was open, begins the examples with what is
 * there, asks with one token for all tabs, and goes on with a stream that was cut off.
 *
 * It is text to the service, which puts it into the page (render-playground.ts), so it imports nothing: GraphiQL's React and
 * graphql-sse's client are globals there.
 *
 * @param {Element} root
 * @param {(root: Element, options: object) => void} render GraphiQL
 * @param {{ title: string, beginQuery: string, examples: { name: string, query: string, variables?: object, begin?: object }[] }} options
 */
export function startPlayground(root, render, { title, beginQuery, examples }) {
  const { React, graphqlSse, monaco } = globalThis
  const endpoint = location.pathname
  const tabsKey = 'graphiql:tabState'
  // Of this tab of the browser, and gone with it.
  const tokenKey = 'playground:token'
  // A stream that ended for one of these was well, and goes on when the service or the reader is well again.
  const passing = ['DRAINING', 'SLOW_CONSUMER', 'DATABASE_UNAVAILABLE']
  const waitMsMin = 500
  const waitMsMax = 10_000
  /** Tells the line beside the logo to look again who asks. */
  let lookAgain = () => undefined

  void start()

  async function start() {
    const stored = readTabs()
    const found = await findBeginnings()
    const linked = new URL(location.href).searchParams.get('query')
    const tabs = (stored?.tabs ?? examples.map(toTab)).map((tab) => fill(tab, found))
    const known = tabs.findIndex(({ query }) => query === linked)
    if (stored === null && linked !== null && known < 0) tabs.unshift({ query: linked })
    const open = linked === null ? tabs[stored?.activeTabIndex ?? 0] : { query: linked, ...tabs[known] }
    if (stored !== null) localStorage.setItem(tabsKey, JSON.stringify({ ...stored, tabs }))
    // What was linked is a tab from now on; left in the address, it would come back over what is made of it.
    if (linked !== null) history.replaceState(null, '', endpoint)
    render(root, {
      title: React.createElement(Heading),
      defaultTabs: tabs,
      initialQuery: open?.query ?? '',
      initialVariables: open?.variables ?? '',
      onEditQuery: () => undefined,
      onTabChange: keepTabs(),
      // A token in the headers is not left in the browser's storage.
      shouldPersistHeaders: false,
      fetcher,
    })
  }

  function readTabs() {
    try {
      const stored = JSON.parse(localStorage.getItem(tabsKey))
      return Array.isArray(stored?.tabs) && stored.tabs.length > 0 ? stored : null
    } catch {
      return null
    }
  }

  /** GraphiQL stores its tabs half a second late, and a reload may come sooner. */
  function keepTabs() {
    let latest = null
    addEventListener('pagehide', () => {
      if (latest === null) return
      const tabs = latest.tabs.map((tab) => ({ ...tab, headers: null, response: null, hash: undefined }))
      localStorage.setItem(tabsKey, JSON.stringify({ ...latest, tabs }))
    })
    return (state) => (latest = state)
  }

  function toTab({ query, variables }) {
    return variables === undefined ? { query } : { query, variables: write(variables) }
  }

  function write(variables) {
    return JSON.stringify(variables, null, 2)
  }

  // What the examples begin with.

  /** Transactions that are there, by what an example needs them for; nothing where there are none, or nobody may see them. */
  async function findBeginnings() {
    const over = AbortSignal.timeout(3_000)
    const { data } = await ask({ query: beginQuery }, {}, over).catch(() => ({}))
    const known = data?.latest?.nodes ?? []
    const told = known.toSorted((left, right) => right.attempts - left.attempts)[0]
    const open = known.find(({ status }) => !['SUCCESS', 'DEAD_LETTER'].includes(status))
    return { told, open: open ?? told, done: data?.done?.nodes ?? [] }
  }

  /** The tab, with what is there in place of an example's blanks. */
  function fill(tab, found) {
    const example = examples.find(
      ({ query, variables }) => query === tab.query && variables && write(variables) === tab.variables,
    )
    const variables = example && begin(example, found)
    return variables ? { ...tab, variables: write(variables) } : tab
  }

  /** An example's variables; null if what it begins with is not there. */
  function begin({ variables, begin: paths = {} }, found) {
    const filled = { ...variables }
    for (const [name, path] of Object.entries(paths)) {
      const value = path.split('.').reduce((at, key) => at?.[key], found)
      if (value === undefined || value === null) return null
      filled[name] = Array.isArray(value) ? value.map(({ transactionId }) => transactionId) : value
    }
    return filled
  }

  /** An example that still has its blanks when it is run is filled now, and in its editor too. */
  async function complete(request) {
    const asked = JSON.stringify(request.variables)
    const example = examples.find(
      ({ name, variables, begin: paths }) =>
        name === request.operationName && paths && JSON.stringify(variables) === asked,
    )
    const variables = example && begin(example, await findBeginnings())
    if (!variables) return request
    const editor = monaco.editor.getModels().find(({ uri }) => uri.path.endsWith('variables.json'))
    editor?.setValue(write(variables))
    return { ...request, variables }
  }

  // How it asks.

  async function fetcher(request, { headers = {} } = {}) {
    const { kind, operationName, text } = findOperation(request)
    const completed = await complete({ ...request, operationName })
    return kind === 'subscription' ? follow(completed, headers, findPlace(text)) : ask(completed, headers)
  }

  /**
   * The operation to run, by the text: what GraphiQL says of it is that of the tab before, for a moment after another one was opened.
   */
  function findOperation({ query, operationName }) {
    const text = query.replace(/#.*$/gm, '')
    const named = new RegExp(`\\b(query|mutation|subscription)\\s+(${operationName})\\b[^]*`).exec(text)
    const [all = text, kind = 'query', name = ''] =
      named ?? /^\s*(query|mutation|subscription)\b\s*(\w*)[^]*/m.exec(text) ?? []
    return { kind, text: all, operationName: name === '' ? undefined : name }
  }

  /** @throws if the answer is not GraphQL's */
  async function ask(request, headers, signal) {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json', ...credentials(headers) },
      body: JSON.stringify(request),
      signal,
    })
    const answer = await readAnswer(response)
    if (response.ok) keepToken(headers)
    return answer
  }

  async function readAnswer(response) {
    const text = await response.text()
    try {
      return JSON.parse(text)
    } catch {
      throw new Error(`the server answers ${response.status} ${response.statusText}`)
    }
  }

  /** A tab's own headers, and the token where they have none. */
  function credentials(headers) {
    const token = sessionStorage.getItem(tokenKey)
    return token === null || authorization(headers)
      ? headers
      : { ...headers, Authorization: `Bearer ${token}` }
  }

  function authorization(headers) {
    return Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1]
  }

  /** A token that was put into the headers of one tab is that of all. */
  function keepToken(headers) {
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization(headers) ?? '') ?? []
    if (token === undefined || token === sessionStorage.getItem(tokenKey)) return
    sessionStorage.setItem(tokenKey, token)
    lookAgain()
    // The key by which GraphiQL asks for the schema again.
    dispatchEvent(new KeyboardEvent('keydown', { key: 'R', ctrlKey: true }))
  }

  // Streams.

  /**
   * How a subscription goes on after a cut: for events the variable that takes the cursor. The others tell the latest state, and begin
   * anew. Null if it cannot go on without missing something.
   */
  function findPlace(text) {
    const [events, after] = /\bmessageEvents\b(?:\s*\([^)]*\bafter\s*:\s*\$(\w+))?/.exec(text) ?? []
    if (events === undefined) return { variable: null }
    return after !== undefined && /[{\s]cursor\b/.test(text) ? { variable: after } : null
  }

  function cursorOf(data) {
    return Object.values(data)[0]?.cursor
  }

  /** Answers as they come; what was answered last stays in sight when the stream is cut off, with a word of that beside it. */
  function follow(request, headers, place) {
    const client = graphqlSse.createClient({
      url: endpoint,
      retryAttempts: 0,
      headers: () => credentials(headers),
    })
    return {
      subscribe(sink) {
        let variables = request.variables
        let last = { data: null }
        let cuts = 0
        let stream
        let waitMs = waitMsMin
        let reason
        let timer
        let leave = () => undefined
        const tell = (answer) =>
          sink.next(stream ? { ...answer, extensions: { ...answer.extensions, stream } } : answer)
        const end = (answer) => {
          tell(answer)
          sink.complete()
        }
        const goOn = () => {
          reason = undefined
          leave = client.subscribe({ ...request, variables }, { next, error, complete: over })
        }
        const next = (answer) => {
          const [first] = answer.errors ?? []
          if (first && !answer.data && passing.includes(first.extensions?.code)) {
            reason = first.message
            return
          }
          if (answer.data) {
            last = answer
            waitMs = waitMsMin
            if (place?.variable) variables = { ...variables, [place.variable]: cursorOf(answer.data) }
          } else if (place?.variable) stream = { ...stream, lastCursor: variables?.[place.variable] ?? null }
          tell(answer)
        }
        const over = () => (reason === undefined ? sink.complete() : cutOff(reason))
        const error = async (cause) => {
          const { response } = cause
          const isRefused = response?.status < 500 && ![408, 429].includes(response.status)
          if (!isRefused) return cutOff(cause.message)
          stream = { ...stream, lastCursor: variables?.[place?.variable] ?? null }
          end(await readAnswer(response).catch(({ message }) => ({ errors: [{ message }] })))
        }
        const cutOff = (why) => {
          cuts += 1
          const after = place?.variable ? (variables?.[place.variable] ?? null) : undefined
          stream = { cutOff: why, at: new Date().toISOString(), times: cuts }
          if (place === null) {
            const hint = 'It does not go on by itself, because it has no cursor with $after: run it again.'
            end({ ...last, extensions: { ...last.extensions, hint } })
            return
          }
          stream.goesOn = after === undefined ? 'from the state of now' : { after }
          tell(last)
          timer = setTimeout(goOn, waitMs)
          waitMs = Math.min(2 * waitMs, waitMsMax)
        }
        goOn()
        return {
          unsubscribe() {
            clearTimeout(timer)
            leave()
          },
        }
      },
    }
  }

  // Beside the logo.

  /** The service's name, and who asks: a token is put in here once. */
  function Heading() {
    const [viewer, setViewer] = React.useState()
    lookAgain = () =>
      ask({ query: '{ viewer { name role } }' }, {}).then(
        ({ data }) => setViewer(data?.viewer ?? null),
        () => setViewer(undefined),
      )
    React.useEffect(() => void lookAgain(), [])
    const token = sessionStorage.getItem(tokenKey)
    return React.createElement(
      'form',
      { className: 'playground-heading', onSubmit: viewer === null ? takeToken : forgetToken },
      title,
      viewer === null &&
        React.createElement('input', {
          name: 'token',
          type: 'password',
          placeholder: token === null ? 'Token' : 'Another token: this one is not known',
          'aria-label': 'Token',
          autoComplete: 'off',
          required: true,
        }),
      viewer === null && React.createElement('button', { type: 'submit' }, 'Use token'),
      viewer && React.createElement('span', null, `${viewer.name}, ${viewer.role.toLowerCase()}`),
      viewer && token !== null && React.createElement('button', { type: 'submit' }, 'Forget token'),
    )
  }

  function takeToken(event) {
    event.preventDefault()
    const given = new FormData(event.currentTarget).get('token').trim()
    sessionStorage.setItem(tokenKey, given.replace(/^Bearer +/i, ''))
    // The schema and the examples' beginnings are asked for anew; the tabs stay.
    location.reload()
  }

  function forgetToken(event) {
    event.preventDefault()
    sessionStorage.removeItem(tokenKey)
    location.reload()
  }
}
