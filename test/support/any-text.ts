import fc from 'fast-check'

/**
 * Every character of Unicode, as the unit `'binary'` of `fc.string`, without its table of a million entries that
 * each process would fill first.
 */
const anyCharacter: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10_f7_ff })
  // Without surrogates.
  .map(
    (index) => String.fromCodePoint(index < 0xd8_00 ? index : index + 0x8_00),
    (character) => {
      const code = typeof character === 'string' ? character.codePointAt(0) : undefined
      if (code === undefined || character !== String.fromCodePoint(code)) throw new Error('not one')
      return code < 0xd8_00 ? code : code - 0x8_00
    },
  )

/** A text of any characters. */
export function anyText(
  constraints: Omit<fc.StringConstraints, 'unit'> = {},
): fc.Arbitrary<string> {
  return fc.string({ ...constraints, unit: anyCharacter })
}
