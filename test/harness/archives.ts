import { deflateRawSync } from 'node:zlib'

/** A zip archive, as services make it: deflated, with its directory at the end. */
export function zipOf (files: Record<string, Buffer | string>, lie?: { size?: number }): Buffer {
  const heads: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    const packed = deflateRawSync(bytes)
    const fixed = Buffer.alloc(26)
    fixed.writeUInt16LE(20, 0)
    fixed.writeUInt16LE(8, 4)
    fixed.writeUInt32LE(packed.length, 14)
    fixed.writeUInt32LE(lie?.size ?? bytes.length, 18)
    fixed.writeUInt16LE(Buffer.byteLength(name), 22)
    const head = Buffer.concat([Buffer.from('PK\x03\x04'), fixed, Buffer.from(name), packed])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fixed.subarray(0, 24), fixed.subarray(24), rest,
        Buffer.from(name)])
    )
    heads.push(head)
    at += head.length
  }
  const list = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(directory.length, 4)
  end.writeUInt16LE(directory.length, 6)
  end.writeUInt32LE(list.length, 8)
  end.writeUInt32LE(at, 12)
  return Buffer.concat([...heads, list, Buffer.from('PK\x05\x06'), end])
}

/** A file as Firefox packs its backups: one LZ4 block, greedily matched. */
export function mozLz4Of (content: string): Buffer {
  const bytes = Buffer.from(content)
  const out: number[] = []
  const seen = new Map<string, number>()
  let [from, at] = [0, 0]
  const length = (value: number) => {
    for (let left = value - 15; left >= 0; left -= 255) out.push(Math.min(left, 255))
  }
  const sequence = (to: number, match: number, offset: number) => {
    const literals = to - from
    out.push(Math.min(literals, 15) << 4 | Math.min(Math.max(match - 4, 0), 15))
    if (literals >= 15) length(literals)
    out.push(...bytes.subarray(from, to))
    if (match === 0) return
    out.push(offset & 255, offset >> 8)
    if (match - 4 >= 15) length(match - 4)
  }
  while (at + 12 < bytes.length) {
    const key = bytes.toString('latin1', at, at + 4)
    const before = seen.get(key)
    seen.set(key, at)
    if (before === undefined || at - before > 65_535) {
      at++
      continue
    }
    let match = 4
    while (at + match < bytes.length - 5 && bytes[before + match] === bytes[at + match]) match++
    sequence(at, match, at - before)
    at += match
    from = at
  }
  sequence(bytes.length, 0, 0)
  const head = Buffer.alloc(12)
  head.write('mozLz40\0', 'latin1')
  head.writeUInt32LE(bytes.length, 8)
  return Buffer.concat([head, Buffer.from(out)])
}
