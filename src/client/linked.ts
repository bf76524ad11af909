/** A signal of one's own that comes with the first of others, or with `end`; which lets go of the others. */
export function linked (
  ...others: readonly (AbortSignal | undefined)[]
): { readonly signal: AbortSignal, readonly end: () => void } {
  const own = new AbortController()
  const end = () => {
    for (const other of others) other?.removeEventListener('abort', end)
    own.abort()
  }
  for (const other of others) other?.addEventListener('abort', end)
  if (others.some((other) => other?.aborted === true)) end()
  return { signal: own.signal, end }
}
