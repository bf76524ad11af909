import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'

/**
 * Where rows are: the very object that is handed to ElectroDB's `.go(store)`. It is an argument, never a
 * global, so nothing can leak from one tenant to the next through a singleton.
 */
export interface Store {
  readonly client: DynamoDBDocumentClient
  readonly table: string
}

/** Who asks: set once per request from the verified token, frozen. */
export interface Scope {
  readonly tenantId: string
  readonly userId: string
  readonly roles: readonly string[]
  readonly sessionId: string | undefined
}

/** Gives the store that holds exactly one tenant's rows. */
export interface Stores {
  of(tenantId: string): Promise<Store>
  /** The store of requests without a token: no tenant's rows, only the index of public settings. */
  anonymous(): Promise<Store>
  /** The operator's rows about tenants, and none of the tenants' own. */
  operator(): Promise<Store>
  close(): void
}
