import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { freePort } from '../src/local/embedded-store.ts'
import { startServer } from '../test/harness/server.ts'

const USAGE =
  `npm run crash: kills the hub at random points while it writes, and counts acknowledged writes that are lost

  npm run crash -- [--points 200] [--writers 8] [--lanes 2]

At each point the command starts the hub on the same DATA_DIR, writes until a random moment, sends kill -9, starts the
hub again and reads every acknowledged record. Meanwhile users join and leave a group, and the command compares both
sides of each membership. Lanes are hubs that run at the same time and share the points. Exits with 1 if a record is
lost or the sides differ. Needs dist/ (npm run build).`

const { values: { points, writers, lanes, help } } = parseArgs({
  options: {
    points: { type: 'string', default: '200' },
    writers: { type: 'string', default: '8' },
    lanes: { type: 'string', default: '2' },
    help: { type: 'boolean' }
  }
})
if (help === true) {
  console.log(USAGE)
} else {
  const results = await Promise.all(
    Array.from(
      { length: Number(lanes) },
      () => crash(Math.ceil(Number(points) / Number(lanes)), Number(writers))
    )
  )
  const total = (name: keyof Result) => results.reduce((sum, result) => sum + result[name], 0)
  console.log(
    `${total('kills')} kills, ${total('sent')} writes sent, ${total('lost')} acknowledged writes lost, ${
      total('moves')
    } joins and leaves, ${total('torn')} of them half done; slowest restart ${
      Math.round(Math.max(...results.map(({ slowest }) => slowest)))
    } ms`
  )
  process.exitCode = total('lost') + total('torn') === 0 ? 0 : 1
}

interface Result {
  kills: number
  sent: number
  lost: number
  moves: number
  torn: number
  slowest: number
}

/** One lane: kills one hub again and again. `slowest` is the longest restart, in milliseconds. */
async function crash (points: number, writers: number): Promise<Result> {
  const dir = await mkdtemp(join(tmpdir(), 'sync-hub-crash-'))
  // One port throughout: it is part of the issuer's name, and tokens are to outlive the kills.
  const env = { DATA_DIR: dir, PORT: String(await freePort()), LOG_LEVEL: 'silent' }
  /** The last number that was acknowledged for each record. Numbers only grow, so a later one is no loss. */
  const acknowledged = new Map<string, number>()
  let number = 0
  let lost = 0
  let slowest = 0
  let [moves, torn] = [0, 0]
  try {
    let server = await startServer(env)
    const callAs = (token: string) => async (method: string, path: string, body?: object) => {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...body !== undefined && { 'content-type': 'application/json' }
        },
        ...body !== undefined && { body: JSON.stringify(body) }
      })
      if (response.status < 300) moves++
      return response.status === 204
        ? {}
        : await response.json() as { id?: string, items?: { id: string, state?: string, role: string }[] }
    }
    const [owner, guest] = [callAs(await server.token('crash', 'owner')),
      callAs(await server.token('crash', 'guest'))]
    const { id: group } = await owner('POST', '/v1/groups', { name: 'Comings and goings' })
    const comeAndGo = async () => {
      await owner('POST', `/v1/groups/${group}/invitations`, { userId: 'guest', role: 'editor' })
      await guest('POST', `/v1/invitations/${group}/accept`)
      await owner('DELETE', `/v1/groups/${group}/members/guest`)
    }
    /** What each side says of the guest. */
    const sides = async () => {
      const of = async (call: typeof owner, path: string, id: string) =>
        (await call('GET', path)).items!.find((item) => item.id === id)?.role
      return {
        member: [await of(owner, `/v1/groups/${group}/members`, 'guest'),
          await of(guest, '/v1/groups', group!)],
        invited: [await of(owner, `/v1/groups/${group}/invitations`, 'guest'),
          await of(guest, '/v1/invitations', group!)]
      }
    }
    for (let point = 1; point <= points; point++) {
      const headers = {
        authorization: `Bearer ${await server.token('crash', 'writer')}`,
        'content-type': 'application/json'
      }
      const touched = new Set<string>()
      let running = true
      const writing = Array.from({ length: writers }, async (_, writer) => {
        while (running) {
          const id = `w${writer}-${number % 5}`
          const value = ++number
          const response = await fetch(`${server.url}/v1/settings/${id}`, {
            method: 'PUT',
            headers,
            body: JSON.stringify({ value })
          }).catch(() => undefined)
          if (response?.ok !== true) continue
          await response.arrayBuffer().catch(() => undefined)
          acknowledged.set(id, value)
          touched.add(id)
        }
      })
      const moving = (async () => {
        while (running) await comeAndGo().catch(() => {})
      })()
      await new Promise((resolve) => {
        setTimeout(resolve, Math.random() * 250)
      }) // the random moment
      await server.end('SIGKILL')
      running = false
      await Promise.all([...writing, moving])
      server = await startServer(env)
      slowest = Math.max(slowest, server.readyAfter)
      for (const id of point === points ? acknowledged.keys() : touched) {
        const response = await fetch(`${server.url}/v1/settings/${id}`, { headers })
        const { value } = await response.json() as { value?: number }
        if (value === undefined || value < acknowledged.get(id)!) {
          lost++
          console.error(
            `lost: ${id} is ${value ?? `gone (${response.status})`}, ${acknowledged.get(id)} was acknowledged`
          )
        }
      }
      const { member, invited } = await sides()
      if (member[0] !== member[1] || invited[0] !== invited[1]) {
        torn++
        console.error(`half done: ${JSON.stringify({ member, invited })}`)
      }
      if (point % 20 === 0) console.error(`${point} of ${points} kills, ${number} writes sent, ${lost} lost`)
    }
    await server.end('SIGTERM')
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return { kills: points, sent: number, lost, moves, torn, slowest }
}
