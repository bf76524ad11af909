import t from 'tap'
import { type Conflict } from '../../src/client/index.ts'
import { devicesOf, home, into, isPush, newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

const hub = await startHub(t)
const { device, two } = devicesOf(hub)

t.test('two devices are in step after both have synced', async (t) => {
  const [one, other] = await two(t)
  await one.bookmarks.put('home', home)
  await one.settings.put('editor.theme', { value: { dark: true } })
  t.match(one.bookmarks.get('home'), { id: 'home', ...home }, 'an edit is seen at once')
  t.equal(one.bookmarks.get('home')!.rev, undefined, 'and what the hub sets is missing until it has it')
  t.equal(one.pending().length, 2)
  await one.sync()
  t.strictSame(one.pending(), [])
  await other.sync()
  t.strictSame(other.bookmarks.list(), one.bookmarks.list())
  t.strictSame(other.settings.get('editor.theme'), one.settings.get('editor.theme'))
  t.type(one.bookmarks.get('home')!.createdAt, 'string')
  await other.bookmarks.update('home', { title: 'New', tags: undefined })
  await other.settings.delete('editor.theme')
  await other.sync()
  await one.sync()
  t.match(one.bookmarks.get('home'), { title: 'New', url: home.url, tags: [] })
  t.strictSame(one.settings.list(), [])
})

t.test('edits of one record that were not sent are one, and none where all is as it was', async (t) => {
  const one = await device(t, newUser())
  await one.bookmarks.put('b', home)
  await one.bookmarks.update('b', { title: 'Once' })
  t.equal(one.pending().length, 1)
  await one.bookmarks.delete('b')
  t.strictSame(one.pending(), [], 'made and deleted: the hub need not know')
  await one.bookmarks.put('b', home)
  await one.sync()
  const { rev } = one.bookmarks.get('b')!
  await one.bookmarks.update('b', { title: 'Twice' })
  await one.bookmarks.put('b', { ...one.bookmarks.get('b')!, title: 'Home' })
  t.strictSame(one.pending(), [])
  await one.sync()
  t.equal(one.bookmarks.get('b')!.rev, rev)
})

t.test('more than fits one push goes in several, in order', async (t) => {
  const sizes: number[] = []
  const [one, other] = await two(t, newUser(), {
    fetch: async (...ask) => {
      if (isPush(ask[1])) {
        sizes.push((JSON.parse(ask[1]!.body as string) as { changes: unknown[] }).changes.length)
      }
      return into(hub)(...ask)
    }
  })
  for (let n = 0; n < 130; n++) await one.bookmarks.put(`b${n}`, { ...home, title: `${n}` })
  for (let n = 0; n < 20; n++) await one.settings.put(`s${n}`, { value: 'x'.repeat(60_000) })
  await one.sync()
  t.equal(sizes[0], 97)
  t.equal(sizes.reduce((sum, size) => sum + size, 0), 150)
  t.equal(sizes.length, 3, 'by number, then by bytes')
  await other.sync()
  t.equal(other.bookmarks.list().length, 130)
  t.equal(other.settings.list().length, 20)
})

t.test('two edits that did not know of each other are merged, field by field', async (t) => {
  const conflicts: Conflict[] = []
  const [one, other] = await two(t, newUser(), {
    merge: (conflict) => {
      conflicts.push(conflict)
      return conflict.merged
    }
  })
  await one.bookmarks.put('b', { ...home, tags: ['a', 'b'] })
  await one.settings.put('s', { value: { font: 'x', size: 1, deep: { kept: true } } })
  await one.sync()
  await other.sync()
  await other.bookmarks.update('b', { title: 'Theirs', description: 'theirs', tags: ['b', 'c'] })
  await other.settings.put('s', { value: { font: 'y', size: 1, deep: { kept: true, theirs: 1 } } })
  await other.sync()
  await one.bookmarks.update('b', { title: 'Mine', favorite: true, tags: ['a', 'b', 'd'] })
  await one.settings.put('s', { value: { font: 'x', size: 2, deep: { kept: true } } })
  // Without a pull first: the hub has to say that they do not fit.
  await one.push()
  await one.sync()
  await other.sync()
  t.match(one.bookmarks.get('b'), { title: 'Mine', description: 'theirs', favorite: true })
  t.strictSame(new Set(one.bookmarks.get('b')!.tags), new Set(['b', 'c', 'd']))
  t.strictSame(one.settings.get('s')!.value, { font: 'y', size: 2, deep: { kept: true, theirs: 1 } })
  t.strictSame(other.bookmarks.list(), one.bookmarks.list())
  t.strictSame(other.settings.list(), one.settings.list())
  t.strictSame(
    conflicts.map(({ id, fields }) => ({ id, fields })),
    [{ id: 'b', fields: ['/title'] }],
    'the app is asked where both changed the same'
  )
})

t.test('an edit wins over a delete, whoever made it; the app may say otherwise', async (t) => {
  for (const decides of [false, true]) {
    for (const [mine, theirs] of [['edit', 'delete'], ['delete', 'edit']] as const) {
      const [one, other] = await two(t, newUser(), decides ? { merge: () => undefined } : {})
      await one.bookmarks.put('b', home)
      await one.sync()
      await other.sync()
      for (const [client, act] of [[other, theirs], [one, mine]] as const) {
        if (act === 'edit') await client.bookmarks.update('b', { title: 'Edited' })
        else await client.bookmarks.delete('b')
        await client.push()
      }
      await one.sync()
      await other.sync()
      t.equal(
        one.bookmarks.get('b')?.title,
        decides ? undefined : 'Edited',
        `${mine} of mine, ${theirs} of theirs`
      )
      t.strictSame(other.bookmarks.list(), one.bookmarks.list())
      t.strictSame([one.pending(), one.rejected()], [[], []])
    }
  }
})
