type Numbers = Uint8Array | Int32Array | Uint32Array | Float64Array | BigUint64Array

/** Copies the numbers into an array of twice the length, because typed arrays do not grow. */
export function doubled<Kind extends Numbers>(numbers: Kind): Kind {
  const larger = new (numbers.constructor as new (length: number) => Kind)(numbers.length * 2)
  larger.set(numbers as never)
  return larger
}
