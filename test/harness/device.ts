import type { Pulled } from '../../src/services/sync/pull.ts'
import type { Answer, Person } from './hub.ts'

/** The least that a device can be: it applies what it is told, in order, and keeps the cursor. */
export interface Device {
  /** `space type id` -> the record. */
  readonly held: Map<string, { rev: number, title?: string, value?: unknown }>
  cursor: string | undefined
  /** Pulls until there is no more. @returns the answers */
  pull(limit?: number): Promise<Pulled[]>
  apply(pulled: Pulled): void
}

export function createDevice (person: Person): Device {
  const held: Device['held'] = new Map()
  const device: Device = {
    held,
    cursor: undefined,
    async pull (limit = 1000) {
      const pages: Pulled[] = []
      for (let more = true; more;) {
        const answer: Answer = await person.get(
          `/v1/sync?limit=${limit}${device.cursor === undefined ? '' : `&cursor=${device.cursor}`}`
        )
        if (answer.status !== 200) throw Object.assign(new Error(answer.text), answer)
        device.apply(answer.body as Pulled)
        pages.push(answer.body as Pulled)
        more = (answer.body as Pulled).more
      }
      return pages
    },
    apply (pulled) {
      if (pulled.reset === true) held.clear()
      for (const { space, ops } of pulled.changes) {
        for (const { type, id, act, rev, record } of ops) {
          const name = `${space} ${type} ${id}`
          if (act === 'put' || act === 'join') held.set(name, record as { rev: number })
          else if ((held.get(name)?.rev ?? 0) <= rev) held.delete(name)
          if (act === 'leave') {
            for (const key of [...held.keys()].filter((key) => key.startsWith(`group:${id} `))) {
              held.delete(key)
            }
          }
        }
      }
      device.cursor = pulled.cursor
    }
  }
  return device
}
