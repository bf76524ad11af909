import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startHub } from '../harness/hub.ts'
import { newUser } from '../harness/app-device.ts'
import { bundle, findChromium, startBrowser } from './browser.ts'

/** The package in a real browser: npm run test:browser. */

const chromium = await findChromium()
if (chromium === undefined) {
  console.error('There is no Chromium here: install it (apt-get install chromium), or name it in CHROMIUM.')
  process.exit(2)
}

/** Pages of an app, on an origin of their own. */
async function startApp (t: Test, files: Record<string, string>): Promise<string> {
  const server: Server = createServer((request, response) => {
    const text = files[request.url!]
    const type = request.url!.endsWith('.js') ? 'text/javascript' : 'text/html'
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': type }).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const SCRIPT = `
import { createClient, indexedDbStore, storageStore } from '@sync-hub/client'
import { start } from './plain.ts'
import { createRoot } from 'react-dom/client'
import { Bookmarks, HubProvider } from './react.tsx'
Object.assign(globalThis, { createClient, indexedDbStore, storageStore, start })
globalThis.react = (client) => createRoot(document.querySelector('#react'))
  .render(<HubProvider value={client}><Bookmarks /></HubProvider>)
`
const HTML = `<!doctype html><meta charset="utf-8"><p id="status"></p>
<form id="add"><input name="url"><button>Add</button></form><ul id="list"></ul><div id="react"></div>
<script type="module" src="/app.js"></script>`

const browser = await startBrowser(chromium)
t.teardown(() => browser.close())
const app = await startApp(t, {
  '/': HTML,
  '/app.js': await bundle(SCRIPT, {
    '@sync-hub/client': new URL('../../dist/client/index.js', import.meta.url).pathname
  })
})
const hub = await startHub(t, { corsOrigins: [app] })
const url = await hub.app.listen({ port: 0, host: '127.0.0.1' })

async function open (t: Test, context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(error.message))
  await page.goto(app)
  await page.waitForFunction('globalThis.react !== undefined')
  return page
}

async function person (t: Test) {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  const user = newUser()
  const { token } = await hub.as(user)
  const options = JSON.stringify({ url, token })
  return { context, options, person: await hub.as(user) }
}

interface Figures {
  readonly length: number
  readonly opened: number
  readonly frames: number
  readonly edit: number
  readonly title: string
}

const TITLES = `globalThis.client.bookmarks.list().map(({ title }) => title).sort().join()`

t.test('the plain example runs, in two tabs that show the same, and only one of them listens', async (t) => {
  const { context, options, person: reader } = await person(t)
  const streams: string[] = []
  context.on('request', (request) => {
    if (request.url().includes('/live')) streams.push(request.url())
  })
  const [one, two] = [await open(t, context), await open(t, context)]
  for (const page of [one, two]) {
    await page.evaluate(`start(document, ${options}).then((client) => { globalThis.client = client })`)
    await page.waitForFunction(`document.querySelector('#status').textContent === 'in-step'`)
  }
  await two.fill('input', 'https://example.com/two')
  await two.click('form button')
  await one.waitForFunction(`document.querySelector('#list').textContent === 'https://example.com/two'`)
  await one.fill('input', 'https://example.com/one')
  await one.click('form button')
  await two.waitForFunction(`document.querySelectorAll('#list li').length === 2`)
  await two.waitForFunction(`document.querySelector('#status').textContent === 'in-step'`)
  t.equal(streams.length, 1)
  t.equal((await reader.get('/v1/bookmarks')).body.items.length, 2)
  // The one that leads dies; the other goes on.
  await one.close()
  await reader.put('/v1/bookmarks/third', { url: 'https://example.com/3', title: 'third' })
  await two.waitForFunction(`document.querySelectorAll('#list li').length === 3`)
  t.equal(streams.length, 2)
})

t.test('the React example runs', async (t) => {
  const { context, options } = await person(t)
  const page = await open(t, context)
  await page.evaluate(`createClient(${options}).then(async (client) => {
    globalThis.client = client
    react(client)
    await client.bookmarks.put('b', { url: 'https://example.com', title: 'Home', tags: [] })
    await client.sync()
  })`)
  await page.waitForFunction(`document.querySelector('#react p')?.textContent === 'in-step'`)
  await page.click('#react li button')
  await page.waitForFunction(`document.querySelector('#react li button').textContent === '★'`)
})

for (const store of ['storageStore(localStorage, "alice")', 'indexedDbStore("alice")']) {
  t.test(`two tabs that edit at once lose nothing: ${store}`, async (t) => {
    const { context, options, person: reader } = await person(t)
    const pages = [await open(t, context), await open(t, context)]
    for (const page of pages) {
      await page.evaluate(
        `createClient({ ...${options}, store: ${store} }).then((client) => { globalThis.client = client })`
      )
    }
    await Promise.all(pages.map((page, at) =>
      page.evaluate(`(async () => {
        for (let n = 0; n < 30; n++) {
          await client.bookmarks.put('${at}-' + n, { url: 'https://example.com', title: '${at}-' + n, tags: [] })
        }
      })()`)
    ))
    for (const page of pages) await page.waitForFunction(`client.pending().length === 60`)
    t.equal(await pages[0]!.evaluate(TITLES), await pages[1]!.evaluate(TITLES))
    // A page that is gone in the middle of things leaves nothing half done.
    await pages[0]!.close()
    await pages[1]!.evaluate('client.sync()')
    t.equal((await reader.get('/v1/bookmarks?limit=100')).body.items.length, 60)
  })
}

t.test('50,000 records are kept in IndexedDB, and read again page by page', async (t) => {
  const { context } = await person(t)
  const page = await open(t, context)
  const figures = await page.evaluate<Figures>(`(async () => {
    const store = indexedDbStore('large')
    const held = (n) => ({ rev: n, gen: 1, record: { id: 'b' + n, rev: n, url: 'https://www.site-' + n % 900 +
      '.example/articles/' + n, title: 'An article about something, number ' + n, tags: ['reading', 'web'],
      createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' } })
    for (let from = 0; from < 50_000; from += 1_000) {
      const rows = Array.from({ length: 1_000 }, (_, n) => ['records me bookmark b' + (from + n), held(from + n)])
      await store.write(new Map(rows))
    }
    let frames = 0
    const count = () => { frames++; requestAnimationFrame(count) }
    requestAnimationFrame(count)
    const begun = performance.now()
    const client = await createClient({ url: 'http://127.0.0.1:1', token: '', store })
    const opened = performance.now() - begun
    const { length } = client.bookmarks.list()
    const edit = performance.now()
    await client.bookmarks.update('b7', { title: 'New' })
    return { length, opened, frames, edit: performance.now() - edit, title: client.bookmarks.get('b7').title }
  })()`)
  t.comment(JSON.stringify(figures))
  t.match(figures, { length: 50_000, title: 'New' })
  t.ok(figures.frames > 3, 'the page draws meanwhile')
})
