import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, paginateScan } from '@aws-sdk/lib-dynamodb'
import { ROWS, type RowKind } from '../../entities/index.ts'

const EXPIRES = 'expires'
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
  const wrong: { row: string, space: string, fault: string }[] = []
  const ended = new Set<string>()
  try {
    const pages = paginateScan({ client: DynamoDBDocumentClient.from(client) }, { TableName: table })
    for await (const { Items: items = [] } of pages) {
      for (const item of items) {
        const fault = faultOf(item)
        if (item.closedAt !== undefined) ended.add(item.pk as string)
        if (fault !== undefined) wrong.push({ row: `${item.pk} ${item.sk}`, space: spaceOf(item), fault })
      }
    }
  } finally {
    client.destroy()
  }
  // All of a group that has ended carries an end.
  return wrong.filter(({ space, fault }) => fault !== EXPIRES || !ended.has(space)).map(({ row, fault }) =>
    `${row}: ${fault}`
  )
}

/** The space that a row lies in, or that a row of the directory is about. */
const spaceOf = ({ pk, sk }: Record<string, any>): string =>
  String(sk).startsWith('SPACE#') ? `${pk}#${String(sk).slice('SPACE#'.length)}` : String(pk)

export function faultOf (item: Record<string, any>): string | undefined {
  const kind = KINDS.get(item.__edb_e__)
  if (kind === undefined) return `a row of the kind ${item.__edb_e__}, which ROWS does not name`
  if (!BEGINS[kind.partition].test(item.pk)) return `does not lie in a partition of ${kind.partition}`
  const ends = kind.lifetime === 'expiring' || (kind.lifetime === 'record' && item.deletedAt !== undefined)
  if (ends !== (typeof item.ttl === 'number')) return ends ? 'never expires' : EXPIRES
  return undefined
}
