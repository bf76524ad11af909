import { Tokenizer, TokenType } from '@streamparser/json'
import { Problem } from '../../../../errors.ts'
import { malformed } from '../not-bookmarks.ts'

/** An object that is told by itself: it is in a list of records, or around one. */
export interface Node {
  /** The key that it, or the list it is in, stands under; '' at the root. */
  readonly key: string
  readonly parent: Node | undefined
  /** Those of its members that are kept and are no nodes. */
  readonly fields: Record<string, unknown>
}

export interface Walk {
  /** Whether elements of an array are told one by one. @param parent the object it is in; undefined at the root */
  isList(key: string, parent: Node | undefined): boolean
  /** Whether an object is told by itself, though it is in no list. */
  isNode?(key: string, parent: Node): boolean
  /** Whether a member is kept; what is not is stepped over. */
  keeps(key: string, node: Node): boolean
  begin?(node: Node): void
  end(node: Node): void
  /** An element of a list that is no object. */
  stray?(key: string): void
}

/** Lists in objects, far deeper than folders may be nested. */
const MAX_DEPTH = 512
/** Values in one object: far more than any bookmark has. */
const MAX_VALUES = 200_000

type Container = { [key: string]: unknown } | unknown[]
interface Frame {
  readonly kind: 'object' | 'array'
  /** A node, a list of nodes, a value that is kept, or one that is stepped over. */
  readonly node?: Node | undefined
  readonly list?: string
  readonly value?: Container
  key: string
  isFirst: boolean
}

/**
 * Reads JSON token by token, and tells of each object in a list when it begins and when it ends. Nothing is
 * kept beyond that, and depth and values are bounded: memory is that of one record and of what holds it.
 */
export function walkJson (walk: Walk): { write: (piece: string) => void, end: () => void } {
  const tokenizer = new Tokenizer({ stringBufferSize: 65_536 })
  const frames: Frame[] = []
  let expects: 'value' | 'key' | 'colon' | 'comma' | 'nothing' = 'value'
  let [values, offset] = [0, 0]

  const wrong = (detail: string) => malformed(detail, `character ${offset + 1}`)
  const nodeAround = () => frames.findLast(({ node }) => node !== undefined)?.node

  function push (kind: Frame['kind']): void {
    if (frames.length === MAX_DEPTH) throw wrong(`The JSON is nested more than ${MAX_DEPTH} deep`)
    const frame = frameOf(kind)
    frames.push(frame)
    expects = kind === 'object' ? 'key' : 'value'
    if (frame.node !== undefined) walk.begin?.(frame.node)
  }

  function frameOf (kind: Frame['kind']): Frame {
    const outer = frames.at(-1)
    const base = { kind, key: '', isFirst: true }
    if (outer === undefined) {
      return kind === 'object'
        ? { ...base, node: nodeOf('', undefined) }
        : { ...base, ...walk.isList('', undefined) && { list: '' } }
    }
    if (outer.list !== undefined) {
      if (kind === 'object') return { ...base, node: nodeOf(outer.list, nodeAround()) }
      walk.stray?.(outer.list)
      return base
    }
    if (outer.node !== undefined) {
      if (kind === 'array' && walk.isList(outer.key, outer.node)) return { ...base, list: outer.key }
      if (kind === 'object' && walk.isNode?.(outer.key, outer.node) === true) {
        return { ...base, node: nodeOf(outer.key, outer.node) }
      }
      if (!walk.keeps(outer.key, outer.node)) return base
    } else if (outer.value === undefined) return base
    const value = kind === 'object' ? Object.create(null) as Container : []
    put(value)
    return { ...base, value }
  }

  function nodeOf (key: string, parent: Node | undefined): Node {
    values = 0
    return { key, parent, fields: Object.create(null) as Record<string, unknown> }
  }

  /** Puts a value where it belongs, if it belongs anywhere. */
  function put (value: unknown): void {
    const frame = frames.at(-1)
    if (frame === undefined) return
    if (frame.list !== undefined) walk.stray?.(frame.list)
    else if (frame.node !== undefined) {
      if (walk.keeps(frame.key, frame.node)) frame.node.fields[frame.key] = value
    } else if (Array.isArray(frame.value)) frame.value.push(value)
    else if (frame.value !== undefined) frame.value[frame.key] = value
    if (++values > MAX_VALUES) throw wrong(`One object of the JSON holds more than ${MAX_VALUES} values`)
  }

  function after (): void {
    expects = frames.length === 0 ? 'nothing' : 'comma'
  }

  function close (kind: Frame['kind']): void {
    const frame = frames.at(-1)
    const isEnd = frame?.kind === kind && (expects === 'comma' || (frame.isFirst && expects !== 'colon'))
    if (!isEnd) throw wrong('The JSON closes what is not open')
    frames.pop()
    if (frame.node !== undefined) walk.end(frame.node)
    after()
  }

  function token (type: TokenType, value: unknown): void {
    if (type === TokenType.RIGHT_BRACE) return close('object')
    if (type === TokenType.RIGHT_BRACKET) return close('array')
    const frame = frames.at(-1)
    if (expects === 'key' && type === TokenType.STRING) {
      frame!.key = value as string
      frame!.isFirst = false
      expects = 'colon'
    } else if (expects === 'colon' && type === TokenType.COLON) expects = 'value'
    else if (expects === 'comma' && type === TokenType.COMMA) {
      frame!.isFirst = false
      expects = frame!.kind === 'object' ? 'key' : 'value'
    } else if (expects === 'value' && type !== TokenType.COLON && type !== TokenType.COMMA) {
      if (frame?.kind === 'array') frame.isFirst = false
      if (type === TokenType.LEFT_BRACE) push('object')
      else if (type === TokenType.LEFT_BRACKET) push('array')
      else {
        put(value)
        after()
      }
    } else throw wrong('The JSON is not well-formed')
  }

  tokenizer.onToken = (given) => {
    offset = given.offset
    token(given.token, given.value)
  }
  tokenizer.onError = (error) => {
    // What the walk throws comes by here as well.
    throw error instanceof Problem ? error : malformed(error.message.replace(/\s+/g, ' ').slice(0, 200))
  }
  return {
    write (piece) {
      tokenizer.write(piece)
    },
    end () {
      if (!tokenizer.isEnded) tokenizer.end()
      if (expects !== 'nothing') throw wrong('The JSON ends before it is complete')
    }
  }
}
