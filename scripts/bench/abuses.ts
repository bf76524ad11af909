/** What a client may be to its neighbours: each kind of abuse sends until it is told to stop. */

export interface Bully {
  readonly url: string
  /** A token of one tenant, the abuser's. */
  readonly token: (user: string) => Promise<string>
  /** Sends, and waits for the whole answer; a failure is no matter. */
  readonly send: (path: string, options?: Sent) => Promise<number>
  readonly signal: AbortSignal
}

export interface Sent {
  readonly method?: string
  readonly token?: string
  readonly body?: string | Uint8Array
  readonly type?: string
}

/** Sends again as soon as it is answered, over so many connections. */
async function loop (
  { signal }: Bully,
  connections: number,
  once: (index: number) => Promise<unknown>
): Promise<void> {
  await Promise.all(Array.from({ length: connections }, async (_, index) => {
    while (!signal.aborted) {
      await once(index).catch(() =>
        new Promise((resolve) => {
          setTimeout(resolve, 50)
        })
      )
    }
  }))
}

/** 98 bookmarks, whose titles are long. */
const pushOf = (from: number) =>
  JSON.stringify({
    changes: Array.from({ length: 98 }, (_, index) => ({
      type: 'bookmark',
      id: `r${from + index}`,
      act: 'put',
      record: { url: `https://example.com/${from + index}`, title: 'alpha beta gamma '.repeat(30) }
    }))
  })

async function fill (bully: Bully, token: string, count: number): Promise<void> {
  for (let from = 0; from < count; from += 98) {
    await bully.send('/v1/sync', { method: 'POST', token, body: pushOf(from) })
  }
}

/**
 * By the number of the fault that each was: made ready first, then run.
 */
export const ABUSES: Record<string, (bully: Bully) => Promise<() => Promise<unknown>>> = {
  '11 search': async (bully) => {
    const token = await bully.token('u')
    await fill(bully, token, 980)
    const q = encodeURIComponent(Array.from({ length: 60 }, () => '"alpha beta"').join(' ').slice(0, 950))
    return () => loop(bully, 4, () => bully.send(`/v1/bookmarks?q=${q}`, { token }))
  },
  '12 import without breaks': async (bully) => {
    const token = await bully.token('u')
    const body = '<h1>x'.repeat(400_000)
    return () =>
      loop(
        bully,
        2,
        () =>
          bully.send('/v1/bookmarks/import?dryRun=true', { method: 'POST', token, body, type: 'text/html' })
      )
  },
  '13 dry runs': async (bully) => {
    const token = await bully.token('u')
    const body = Array.from(
      { length: 20_000 },
      (_, index) => `<dt><a href="https://example.com/${index}">x</a>\n`
    ).join('')
    return () =>
      loop(
        bully,
        24,
        () =>
          bully.send('/v1/bookmarks/import?dryRun=true', { method: 'POST', token, body, type: 'text/html' })
      )
  },
  '15 400 connections': async (bully) => {
    const token = await bully.token('u')
    await fill(bully, token, 98)
    return () => loop(bully, 400, () => bully.send('/v1/bookmarks', { token }))
  },
  '16 public settings': async (bully) => {
    const token = await bully.token('u')
    for (let index = 0; index < 60; index++) {
      await bully.send(`/v1/settings/large.${index}`, {
        method: 'PUT',
        token,
        body: JSON.stringify({ value: 'x'.repeat(60_000), isPublic: true })
      })
    }
    return () => loop(bully, 8, () => bully.send('/v1/public/settings?limit=100'))
  },
  '17 invalid bodies': async (bully) => {
    const token = await bully.token('u')
    const body = `{"changes":[${'{"type":1},'.repeat(90_000)}1]}`
    return () => loop(bully, 16, () => bully.send('/v1/sync', { method: 'POST', token, body }))
  },
  '18 patches of one record': async (bully) => {
    const token = await bully.token('u')
    await bully.send('/v1/bookmarks/b', {
      method: 'PUT',
      token,
      body: '{"url":"https://example.com","title":"x"}'
    })
    return () =>
      loop(
        bully,
        60,
        (index) =>
          bully.send('/v1/bookmarks/b', {
            method: 'PATCH',
            token,
            body: JSON.stringify({ title: `${index} ${Math.random()}` })
          })
      )
  }
}
