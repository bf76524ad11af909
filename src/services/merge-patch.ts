/**
 * JSON Merge Patch (RFC 7396, section 2): null removes, objects merge, everything else replaces. Own code
 * because the published packages drop keys such as `constructor` or fail on `hasOwnProperty`, and a PATCH
 * must not lose a key.
 * @returns the patched value; `target` is not changed
 */
export function mergePatch (target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map(isObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
