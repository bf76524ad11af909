import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, paginateScan } from '@aws-sdk/lib-dynamodb'
import { ROWS, type RowKind } from '../../entities/index.ts'

const KINDS = new Map(ROWS.map((row) => [row.entity.schema.model.entity, row]))

/** How the partition key of each kind of partition begins. */
const BEGINS: Readonly<Record<RowKind['partition'], RegExp>> = {
  space: /^TENANT#[^#]+#(?:USER|GROUP)#[^#]+$/,
  directory: /^TENANT#[^#]+$/,
  operator: /^OPS#TENANT#[^#]+$/,
  pairing: /^OPS#PAIRING#[^#]+$/
}

/**
 * Reads all rows of a table, past any hub.
 * @returns what is wrong with them: rows of no kind that ROWS names, in another partition, or with another lifetime
 */
export async function strayRows (endpoint: string, table: string): Promise<string[]> {
  const region = 'eu-west-1'
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const client = new DynamoDBClient({ endpoint, region, credentials })
  const all: Record<string, any>[] = []
  try {
    const pages = paginateScan({ client: DynamoDBDocumentClient.from(client) }, { TableName: table })
    for await (const { Items: items = [] } of pages) all.push(...items)
  } finally {
    client.destroy()
  }
  const heads = new Map(all.filter(({ sk }) => sk === 'HEAD').map((head) => [head.pk as string, head]))
  return all.flatMap((item) => {
    const fault = faultOf(item, heads.get(spaceOf(item)))
    return fault === undefined ? [] : [`${item.pk} ${item.sk}: ${fault}`]
  })
}

/** The partition of the space that a row is of, or that a row of the directory names. */
const spaceOf = ({ pk, sk }: Record<string, any>): string =>
  sk.startsWith('SPACE#') ? `${pk}#${sk.slice('SPACE#'.length)}` : pk

/** @param head of the row's space, where it has one: of a group that has ended nothing stays, whatever its kind */
export function faultOf (item: Record<string, any>, head?: Record<string, any>): string | undefined {
  const kind = KINDS.get(item.__edb_e__)
  if (kind === undefined) return `a row of the kind ${item.__edb_e__}, which ROWS does not name`
  if (!BEGINS[kind.partition].test(item.pk)) return `does not lie in a partition of ${kind.partition}`
  if (typeof head?.ttl === 'number') return typeof item.ttl === 'number' ? undefined : 'outlives its group'
  // While a group is being ended some of its rows have their end, and some have not.
  if (head?.closedAt !== undefined && kind.lifetime === 'record') return undefined
  const ends = kind.lifetime === 'expiring' || (kind.lifetime === 'record' && item.deletedAt !== undefined)
  if (ends !== (typeof item.ttl === 'number')) return ends ? 'never expires' : 'expires'
  return undefined
}
