/** Puts a value into the set under a key. */
export function addTo<K, V> (sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  if (set === undefined) sets.set(key, new Set([value]))
  else set.add(value)
}

/** Takes a value out of the set under a key, and the key where nothing else is under it. */
export function takeFrom<K, V> (sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key)
  set?.delete(value)
  if (set?.size === 0) sets.delete(key)
}
