import { blank, type Collector, type Entry } from '../entry.ts'

/**
 * Folders that a format has as names beside each bookmark: each is one entry, before the first that is in it.
 * @returns the folder at a path; undefined where the path is empty
 */
export function createFolders (collector: Collector): (path: readonly string[]) => Entry | undefined {
  const children = new Map<Entry | undefined, Map<string, Entry>>()
  return (path) => {
    let folder: Entry | undefined
    for (const name of path) {
      const beside: Map<string, Entry> = children.get(folder) ?? new Map<string, Entry>()
      children.set(folder, beside)
      const known = beside.get(name)
      folder = known ?? collector.add({ ...blank('folder', folder), title: name })
      beside.set(name, folder)
    }
    return folder
  }
}
