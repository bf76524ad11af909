import fc from 'fast-check'
import t from 'tap'
import { createEventReader } from '../../src/client/events.ts'
import { merge, same } from '../../src/client/merge.ts'

const json = fc.jsonValue({ maxDepth: 3 })
const content = fc.record({
  title: fc.constantFrom('a', 'b', 'c'),
  value: json,
  description: fc.constantFrom('x', 'y'),
  tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
}, { requiredKeys: ['title', 'tags'] })
const version = fc.option(content, { nil: undefined })

t.test('a merge keeps what one side alone changed, and is the same from both sides where nobody has to decide', async (t) => {
  fc.assert(
    fc.property(version, version, (base, other) => {
      t.ok(same(merge(base, base, other).content, other))
      t.ok(same(merge(base, other, base).content, other))
      t.strictSame(merge(base, other, other), { content: other })
    }),
    { numRuns: 300 }
  )
  fc.assert(
    fc.property(version, version, version, (base, mine, theirs) => {
      const [one, other] = [merge(base, mine, theirs), merge(base, theirs, mine)]
      t.equal(one.conflict === undefined, other.conflict === undefined)
      const sorted = (content: object | undefined) =>
        content && { ...content, tags: new Set((content as { tags: string[] }).tags) }
      if (one.conflict === undefined) t.strictSame({ ...sorted(one.content) }, { ...sorted(other.content) })
      const [tags, otherTags] = [one, other].map(({ content }) => new Set(content?.tags as string[]))
      if (mine !== undefined && theirs !== undefined) t.strictSame(tags, otherTags)
      for (const tag of tags!) {
        t.ok([...mine?.tags ?? [], ...theirs?.tags ?? []].some((known) => known === tag))
      }
      if (mine !== undefined || theirs !== undefined) {
        t.ok(
          one.content !== undefined || same(base, mine) || same(base, theirs),
          'an edit is never lost to a delete'
        )
      }
      t.ok(same(merge(one.content, one.content, theirs).content, theirs))
    }),
    { numRuns: 300 }
  )
  fc.assert(fc.property(json, json, (one, other) => {
    t.equal(same(one, other), same(other, one))
    t.ok(same(one, JSON.parse(JSON.stringify(one))))
  }))
})

t.test('events are read as the standard says, however the bytes are cut', async (t) => {
  const text =
    '\uFEFFretry: 1000\r\n\r\n: heartbeat\n\nid: c1\nevent: changes\ndata: {"a":\rdata: "ü€🙂"}\r\revent:problem\ndata:x\n\ndata\n\nevent: never\n\ndata: cut'
  const events = [{ event: 'changes', data: '{"a":\n"ü€🙂"}' }, { event: 'problem', data: 'x' }, {
    event: 'message',
    data: ''
  }]
  fc.assert(fc.property(fc.array(fc.nat(12)), (sizes) => {
    const [read, bytes] = [createEventReader(), new TextEncoder().encode(text)]
    let at = 0
    const found = [...sizes, bytes.length].flatMap((size) => read(bytes.subarray(at, at += size)))
    t.strictSame(found, events)
  }))
})
