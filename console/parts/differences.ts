/** A piece of a text; one that the other text does not have is no `isSame`. */
export type Piece = { readonly text: string; readonly isSame: boolean }

// What a browser compares in some ten milliseconds. Beyond it, all between the first and the last difference counts as different.
const cellsMax = 1_000_000

/** Finds what differs between two texts, word by word, as two lists of pieces that make up the texts again. */
export function compare(left: string, right: string): readonly [readonly Piece[], readonly Piece[]] {
  const [a, b] = [cut(left), cut(right)]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end])
    end += 1
  const common = findCommon(a.slice(start, a.length - end), b.slice(start, b.length - end))
  const write = (words: readonly string[], middle: readonly boolean[]): Piece[] =>
    join(words, (at) => at < start || at >= words.length - end || middle[at - start] === true)
  return [write(a, common[0]), write(b, common[1])]
}

/** Words, spaces, and each other character by itself. */
function cut(text: string): readonly string[] {
  return text.match(/[\p{L}\p{N}_]+|\s+|[^]/gu) ?? []
}

/** Which words of each are in a longest common subsequence of the two. */
function findCommon(a: readonly string[], b: readonly string[]): readonly [boolean[], boolean[]] {
  const kept: [boolean[], boolean[]] = [a.map(() => false), b.map(() => false)]
  if (a.length * b.length > cellsMax) return kept
  const width = b.length + 1
  // By how many words are common from these two places on.
  const lengths = new Uint32Array((a.length + 1) * width)
  const lengthAt = (i: number, j: number): number => lengths[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] =
        a[i] === b[j] ? lengthAt(i + 1, j + 1) + 1 : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1))
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      kept[0][i] = kept[1][j] = true
      i += 1
      j += 1
    } else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) i += 1
    else j += 1
  }
  return kept
}

function join(words: readonly string[], isSame: (at: number) => boolean): Piece[] {
  const pieces: Piece[] = []
  words.forEach((word, at) => {
    const last = pieces.at(-1)
    if (last?.isSame === isSame(at)) pieces[pieces.length - 1] = { ...last, text: last.text + word }
    else pieces.push({ text: word, isSame: isSame(at) })
  })
  return pieces
}
