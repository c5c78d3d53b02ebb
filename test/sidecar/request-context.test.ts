import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  endOfValue,
  INCOMPLETE,
  INVALID,
  membersOf,
} from '../../src/sidecar/http/first-json-value.ts'
import { contextOfBody } from '../../src/sidecar/http/request-context.ts'
import { inFull } from '../support/full.ts'

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('the end of a JSON value', () => {
  test('is where JSON.parse takes it, whatever follows', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('', ' ', ' x', ',', '}', '\n{'), (json, rest) => {
        expect(json.slice(0, endOfValue(json + rest, 0))).toBe(json)
      }),
    )
  })

  test('is found in a damaged text where and only where JSON.parse finds one', () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', ',', ':', '}', ']', '-', '0', '.'))
      .map(([json, at, put]) => {
        const place = at % (json.length + 1)
        return json.slice(0, place) + put + json.slice(place + (at % 2))
      })
    fc.assert(
      fc.property(damaged, (text) => {
        const end = endOfValue(text, 0)
        expect(end >= 0 && text.slice(end).trim() === '').toBe(isJson(text))
        if (end >= 0) expect(isJson(text.slice(0, end))).toBe(true)
      }),
      { numRuns: inFull(500, 2_000) },
    )
  })

  test('of a part of a text is later, and never nowhere', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (json, at) => {
        const part = json.trimEnd().slice(0, at % json.trimEnd().length)
        const end = endOfValue(part, 0)
        if (/^\s*["[{]/.test(part)) expect(end).toBe(INCOMPLETE)
        else expect([INCOMPLETE, INVALID, part.length]).toContain(end)
      }),
    )
  })
})

test('members are those that JSON.parse gives, and each of several with one name', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const members = membersOf(` ${JSON.stringify(object, null, 1)}`)
      expect(members.map(([name, value]) => [name, JSON.parse(value) as unknown])).toEqual(
        Object.entries(JSON.parse(JSON.stringify(object)) as object),
      )
    }),
  )
  expect(membersOf('{"a":1, "a" : {"b":[]} }')).toEqual([
    ['a', '1'],
    ['a', '{"b":[]}'],
  ])
})

describe('the context of a body', () => {
  test.each([
    ['', 'blank'],
    ['  \n', 'blank'],
    ['{"context":{"a":1}', 'cut'],
    ['{"context":{"a":1}]', 'invalid'],
    ['{"context":{"n":1e999}}', 'invalid'],
    ['{"other":1e999}', {}],
    ['[]', 'invalid'],
    ['null and more', {}],
    ['{"context":{"a":1}} trailing', { a: 1 }],
    ['{"CONTEXT":{"a":1}}', { a: 1 }],
    ['{"context":{"a":1},"Context":{"b":2}}', { b: 2 }],
    ['{"context":{"a":1},"context":null}', {}],
    ['{"context":{"a":"\\ud800","\\ud800":1}}', { a: '\uFFFD', '\uFFFD': 1 }],
    ['{"context":{"a":"\\ud83d\\ude00"}}', { a: '😀' }],
  ] as const)('%s', (body, context) => {
    expect(contextOfBody(body)).toEqual(context)
  })

  test('may be called __proto__ inside', () => {
    const context = contextOfBody('{"context":{"__proto__":{"x":"\\ud800"}}}')
    expect(JSON.stringify(context)).toBe('{"__proto__":{"x":"�"}}')
    expect(({} as { x?: string }).x).toBeUndefined()
  })
})
