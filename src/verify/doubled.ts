type Numbers = Uint8Array | Int32Array | Uint32Array | Float64Array | BigUint64Array

/** The same numbers in an array of twice the length. Typed arrays hold them in as many bytes as they have, and do not grow. */
export function doubled<Kind extends Numbers>(numbers: Kind): Kind {
  const larger = new (numbers.constructor as new (length: number) => Kind)(numbers.length * 2)
  larger.set(numbers as never)
  return larger
}
