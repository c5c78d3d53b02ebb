import { decodeFlags } from '../../flagfile/index.ts'

/** A request target as Go's HTTP server and its router treat it. */
export type RequestPath =
  | { readonly kind: 'path'; readonly path: string }
  /** The path has `//`, `.` or `..`: the client is redirected to the clean one. */
  | { readonly kind: 'moved'; readonly location: string }
  | { readonly kind: 'bad' }

export function requestPath(target: string): RequestPath {
  const [, , raw = '', query = ''] = /^(https?:\/\/[^/?]*)?([^?]*)(\?.*)?$/is.exec(target) ?? []
  const path = unescaped(raw === '' ? '/' : raw)
  if (path === undefined || !path.startsWith('/')) return { kind: 'bad' }
  const clean = cleaned(path)
  if (clean === path) return { kind: 'path', path }
  return { kind: 'moved', location: escaped(clean) + query }
}

function unescaped(raw: string): string | undefined {
  if (!raw.includes('%')) return decodeFlags(Buffer.from(raw, 'latin1'))
  if (/%(?![\da-f]{2})/i.test(raw)) return undefined
  const bytes = raw.replace(/%([\da-f]{2})/gi, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
  return decodeFlags(Buffer.from(bytes, 'latin1'))
}

function cleaned(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  const clean = `/${parts.join('/')}`
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean
}

function escaped(path: string): string {
  return Buffer.from(path, 'utf8')
    .toString('latin1')
    .replace(/[^\w\-.~$&+,/:;=@]/g, (character) => {
      return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
    })
}
