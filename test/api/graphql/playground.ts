import type { Page } from 'playwright-core'
import { until } from '../../support/until.ts'

/** What a person does in the playground, and sees there. */
export class Playground {
  readonly #page: Page

  constructor(page: Page) {
    this.#page = page
  }

  async open(url: string): Promise<void> {
    await this.#page.goto(url)
    await this.#page.locator('.graphiql-execute-button').waitFor()
  }

  tabs(): Promise<string[]> {
    return this.#page.locator('.graphiql-tab').allInnerTexts()
  }

  async choose(tab: string): Promise<void> {
    await this.#page.locator('.graphiql-tab').getByText(tab, { exact: true }).click()
  }

  /** Runs the operation of the chosen tab, or stops it where it is running. */
  async press(): Promise<void> {
    await this.#page.locator('.graphiql-execute-button').click()
  }

  /** Runs the operation of the chosen tab, and answers what is shown once there is an answer. */
  async run(): Promise<string> {
    await this.press()
    let answer = ''
    await until('an answer', async () => {
      answer = await this.answer()
      // GraphiQL reads a tab's document a moment after it shows it, and nobody presses that fast.
      if (answer.includes('Cannot infer operation')) await this.press()
      return /^\{\n *"(data|errors)"/.test(answer) && !answer.includes('Cannot infer operation')
    })
    // Not what is shown by now: of a subscription that may be about to be drawn anew.
    return answer
  }

  /** The visible lines of the answer, as text. */
  async answer(): Promise<string> {
    const lines = await this.#page.locator('.graphiql-response .view-line').allInnerTexts()
    return lines.join('\n').replaceAll('\u00a0', ' ')
  }

  /** Types headers into their editor, as JSON. */
  async sendHeaders(headers: object): Promise<void> {
    await this.#page.getByRole('button', { name: 'Headers', exact: true }).click()
    await this.#page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor').click()
    await this.#page.keyboard.press('ControlOrMeta+A')
    await this.#page.keyboard.insertText(JSON.stringify(headers))
  }
}
