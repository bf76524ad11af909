import t from 'tap'
import { memoryStore, type MassDelete } from '../../src/client/index.ts'
import { devicesOf, home, into, isPush, newUser } from '../harness/app-device.ts'
import { startHub } from '../harness/hub.ts'

/** What deletes most of a space asks first, however many pushes it takes. */

const hub = await startHub(t)
const { device } = devicesOf(hub)
const RECORDS = 150
const ids = Array.from({ length: RECORDS }, (_, n) => `b${n}`)

async function full (t: Parameters<typeof device>[0]) {
  const user = newUser()
  const one = await device(t, user)
  for (const id of ids) await one.bookmarks.put(id, home)
  await one.sync()
  return { user, one }
}

t.test('a mass delete that nobody confirmed takes nothing, though each push of it would be small', async (t) => {
  for (const says of [undefined, false]) {
    const { user, one } = await full(t)
    const asked: MassDelete[] = []
    const store = memoryStore()
    const other = await device(t, user, {
      store,
      ...says === false && {
        onConfirm: (question) => {
          asked.push(question)
          return says
        }
      }
    })
    await other.pull()
    for (const id of ids) await other.bookmarks.delete(id)
    await other.bookmarks.put('new', home)
    await other.sync()
    t.equal(other.bookmarks.list().length, RECORDS + 1, 'what was not deleted is there again')
    t.equal(other.rejected().length, RECORDS)
    t.match(other.rejected()[0], { problem: { status: 409, errorType: 'CONFIRMATION_REQUIRED' } })
    await one.sync()
    t.equal(one.bookmarks.list().length, RECORDS + 1)
    if (says === false) t.strictSame(asked, [{ space: 'me', deletes: RECORDS, records: RECORDS }])
  }
})

t.test('one that is confirmed is asked about once, also where it is interrupted', async (t) => {
  const { user, one } = await full(t)
  const store = memoryStore()
  let [asked, pushes, isCut] = [0, 0, true]
  const options: Parameters<typeof device>[2] = {
    store,
    onConfirm: async () => ++asked > 0,
    fetch: async (...ask) => {
      if (isPush(ask[1]) && isCut && ++pushes > 1) throw new TypeError('fetch failed')
      return into(hub)(...ask)
    }
  }
  const other = await device(t, user, options)
  await other.pull()
  for (const id of ids) await other.bookmarks.delete(id)
  await t.rejects(other.push())
  await other.close()
  isCut = false
  const again = await device(t, user, options)
  await again.sync()
  t.equal(asked, 1)
  t.strictSame([again.bookmarks.list(), again.pending(), again.rejected()], [[], [], []])
  await one.sync()
  t.strictSame(one.bookmarks.list(), [])
})

t.test('half of a space, and a small space, may go unasked', async (t) => {
  const user = newUser()
  const one = await device(t, user, { onConfirm: () => t.fail('asked') })
  for (let n = 0; n < 52; n++) await one.bookmarks.put(`b${n}`, home)
  await one.sync()
  for (let n = 0; n < 26; n++) await one.bookmarks.delete(`b${n}`)
  await one.sync()
  for (let n = 26; n < 52; n++) await one.bookmarks.delete(`b${n}`)
  await one.sync()
  t.strictSame([one.bookmarks.list(), one.rejected()], [[], []])
})

t.test('where the hub is the one to object, the app is asked as well', async (t) => {
  const { user } = await full(t)
  const asked: MassDelete[] = []
  const other = await device(t, user, {
    onConfirm: (question) => {
      asked.push(question)
      return true
    }
  })
  await other.pull()
  for (const id of ids.slice(0, 70)) await other.bookmarks.delete(id)
  // Others have deleted as much meanwhile: the device does not know.
  const person = await hub.as(user)
  for (let from = 80; from < RECORDS; from += 35) {
    const changes = ids.slice(from, from + 35).map((id) => ({ type: 'bookmark', id, act: 'delete' }))
    await person.post('/v1/sync', { changes })
  }
  await other.push()
  t.equal(asked.length, 1)
  t.match(asked, [{ space: 'me', deletes: 70 }])
  await other.sync()
  t.equal(other.bookmarks.list().length, 10)
})
