import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'

/** How long that is remembered. */
const LOOK_MS = 250

/**
 * @param lateMs an event loop that stood still for so long has more to do than it can; 0: that is never so
 * @returns whether it did within the last LOOK_MS
 */
export function watchEventLoop (app: FastifyInstance, lateMs: number): () => boolean {
  if (lateMs === 0) return () => false
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let isLate = false
  const timer = setInterval(() => {
    isLate = delay.max / 1e6 > lateMs
    delay.reset()
  }, LOOK_MS).unref()
  app.addHook('onClose', async () => {
    clearInterval(timer)
    delay.disable()
  })
  return () => isLate
}
