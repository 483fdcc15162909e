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

  /** The tab that is open. */
  async chosen(): Promise<string> {
    return this.#page.locator('.graphiql-tab-active').innerText()
  }

  /** One click, as a person does it. */
  async choose(tab: string): Promise<void> {
    await this.#page.locator('.graphiql-tab').getByText(tab, { exact: true }).click()
    await until(`the tab ${tab} after one click on it`, async () => (await this.chosen()) === tab, 20_000)
  }

  async reload(): Promise<void> {
    await this.#page.reload()
    await this.#page.locator('.graphiql-execute-button').waitFor()
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
      return /^\{\n *"(data|errors)"/.test(answer)
    })
    // Not what is shown by now: of a subscription that may be about to be drawn anew.
    return answer
  }

  /** The visible lines of the answer, as text. */
  async answer(): Promise<string> {
    const lines = await this.#page.locator('.graphiql-response .view-line').allInnerTexts()
    return lines.join('\n').replaceAll('\u00a0', ' ')
  }

  /** The visible lines of the variables' editor, as text. */
  async variables(): Promise<string> {
    const lines = await this.#page
      .locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .view-line')
      .allInnerTexts()
    return lines.join('\n').replaceAll('\u00a0', ' ')
  }

  /** What stands beside the service's name: who asks. */
  heading(): Promise<string> {
    return this.#page.locator('.playground-heading').innerText()
  }

  /** Puts a token in beside the service's name. */
  async giveToken(token: string): Promise<void> {
    await this.#page.getByLabel('Token', { exact: true }).fill(token)
    await this.#page.getByRole('button', { name: 'Use token' }).click()
    await this.#page.getByRole('button', { name: 'Forget token' }).waitFor()
  }

  /** Types headers into their editor, as JSON. */
  async sendHeaders(headers: object): Promise<void> {
    await this.#page.getByRole('button', { name: 'Headers', exact: true }).click()
    await this.#page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor').click()
    await this.#page.keyboard.press('ControlOrMeta+A')
    await this.#page.keyboard.insertText(JSON.stringify(headers))
  }
}
