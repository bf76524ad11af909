import { rejectedOf, type Listener, type Rejected } from './client.ts'
import { same } from './merge.ts'
import type { Changed } from './state.ts'
import { keyOf, targetOf, type Reader } from './tables.ts'
import { overlay, viewOf } from './view.ts'

/** Who is told of what the state becomes. */
export interface Watch {
  readonly changed: Changed
  readonly listeners: Set<Listener>
  /** Comes with the next edit, or at once where there are edits; and with the signal. */
  edited(state: Reader, signal: AbortSignal): Promise<void>
}

export function createWatch (
  onChange: Listener | undefined,
  onRejected: ((rejected: Rejected) => void) | undefined
): Watch {
  const listeners = new Set(onChange === undefined ? [] : [onChange])
  const wakers = new Set<() => void>()

  return {
    listeners,
    changed (before, after, touched) {
      const sent = touched.has('sent') ? [before, after].flatMap(sentKeys) : []
      const keys = new Set([...touched.get('records') ?? [], ...touched.get('edits') ?? [], ...sent])
      const targets = [...keys].map(targetOf).filter((target) =>
        !same(viewOf(before, target), viewOf(after, target))
      )
      // A moment later, when it has become true; and what a listener throws is its own.
      if (targets.length > 0) {
        for (const listener of listeners) {
          queueMicrotask(() => {
            listener(targets)
          })
        }
      }
      for (const rejected of rejectedOf(after, touched.get('refused') ?? [])) {
        queueMicrotask(() => {
          onRejected?.(rejected)
        })
      }
      if (touched.has('edits')) {
        queueMicrotask(() => {
          for (const wake of wakers) wake()
        })
      }
    },
    edited: (state, signal) =>
      new Promise<void>((resolve) => {
        const wake = () => {
          if (!signal.aborted && overlay(state).length === 0) return
          wakers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        wakers.add(wake)
        signal.addEventListener('abort', wake)
        wake()
      })
  }
}

const sentKeys = (reader: Reader) => reader.entries('sent').flatMap(([, { edits }]) => edits.map(keyOf))
