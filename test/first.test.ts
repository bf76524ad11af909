import t from 'tap'
import { startHub } from './harness/hub.ts'
t.test('a bookmark comes back as it was sent', async (t) => {
  const hub = await startHub(t)
  const alice = await hub.as({ tenant: 'acme', user: 'alice' })
  const put = await alice.put('/v1/bookmarks/b1', { url: 'https://example.com', title: 'x' })
  t.equal(put.status, 201)
  const docs = await hub.anyone.get('/docs')
  t.equal(docs.status, 200, hub.log.join('\n'))
})
