import { render } from 'preact'
import { App } from './app.tsx'
import { keepFocus } from './frame/keep-focus.ts'

const root = document.querySelector('#root')
if (root !== null) render(<App />, root)
keepFocus()
