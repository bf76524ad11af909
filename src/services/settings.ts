import { createHmac } from 'node:crypto'
import { PUBLIC_SHARDS, setting, type Setting, type SettingInput } from '../../entities/setting.ts'
import { Problem } from '../errors.ts'
import { collection, type Collection } from './collection.ts'
import type { Context } from './context.ts'

export type Settings = Collection<typeof Setting, typeof SettingInput>

/** The settings of one space. */
export function settings (context: Context): Settings {
  const { config: { limits, secret }, space } = context
  return collection(context, setting, {
    check: ({ value }) => {
      // A merge patch says null to remove, and the value is required.
      if (value === undefined) {
        throw new Problem(
          'VALIDATION_FAILED',
          'A setting must have a value. Delete the setting, or PUT null.',
          { errors: [{ pointer: '/value', detail: "can't be removed" }] }
        )
      }
      assertValue(value, limits)
    },
    derive: (id, { isPublic }) => {
      if (isPublic !== true) return {}
      // Derived, so that the name outlives an un-publish; keyed, so that nobody can work out whose it is.
      const publicId = createHmac('sha256', secret).update(JSON.stringify(['public setting', space, id]))
        .digest('base64url').slice(0, 22)
      return { publicId, publicShard: shardOf(publicId) }
    }
  })
}

/** The index partition of a public id: its first 32 bits, which are as good as random, over the shards. */
export function shardOf (publicId: string): string {
  return String(Buffer.from(publicId, 'base64url').readUInt32BE(0) % PUBLIC_SHARDS)
}

/**
 * Holds a value against the limits on its size (UTF-8 bytes of its JSON) and nesting.
 * @throws Problem VALIDATION_FAILED naming the limit
 */
export function assertValue (
  value: unknown,
  { settingBytes, settingDepth }: { settingBytes: number, settingDepth: number }
): void {
  const depth = depthOf(value, settingDepth)
  if (depth > settingDepth) {
    throw overLimit('settingDepth', settingDepth, depth, `is nested more than ${settingDepth} deep`)
  }
  const bytes = Buffer.byteLength(JSON.stringify(value))
  if (bytes > settingBytes) {
    throw overLimit('settingBytes', settingBytes, bytes, `has ${bytes} bytes as JSON; ${settingBytes} fit`)
  }
}

/** Levels of arrays and objects, counted no further than one beyond `most`. */
function depthOf (value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (most === 0) return 1
  return 1 +
    Object.values(value).reduce<number>((deepest, part) => Math.max(deepest, depthOf(part, most - 1)), 0)
}

function overLimit (name: string, value: number, sent: number, detail: string): Problem {
  return new Problem('VALIDATION_FAILED', `The value ${detail}.`, {
    errors: [{ pointer: '/value', detail }],
    limit: { name, value, sent }
  })
}
