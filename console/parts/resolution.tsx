import type { ResolveVariables } from '../api/operations.ts'

const resolutions: readonly (readonly [ResolveVariables['as'], string])[] = [
  ['CARRIED_OUT', 'It was carried out, by the processor or by hand'],
  ['NOT_CARRIED_OUT', 'It was not carried out, and will not be'],
  ['DUPLICATE', 'Another payment stands for it'],
  ['IGNORED', 'There is nothing to pay: a test, a broken record'],
]

/** What a dead letter is resolved as; the field `as`. */
export function ResolutionChoice({ label }: { label: string }) {
  return (
    <label>
      {label}
      <select name="as" required defaultValue="">
        <option value="" disabled>
          Choose …
        </option>
        {resolutions.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  )
}
